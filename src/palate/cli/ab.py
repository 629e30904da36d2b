"""`palate ab`: test one release against another on the people who use it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import App, Parameter

from palate.cli.project import opened
from palate.core.errors import DataError
from palate.evaluation import anytime
from palate.rounds import trial_words, trials
from palate.rounds.trials import OUTCOMES, PAIRS, Plan
from palate.store import experiments, releases
from palate.store.journal import Journal

app = App(name="ab", help="Test one release against another on the people who use it.")
Project = Annotated[Path, Parameter(name="--out")]
Primary = Literal["approval", "kept", "pairs"]
ENOUGH = 30
"""People of whom the control's mean and spread are taken from the journal."""


@app.command
def plan(
    *,
    outcome: Primary = "approval",
    difference: float = 0.05,
    control: str = "stable",
    share: float = 0.5,
    power: float = 0.8,
    window_h: float = 24.0,
    out: Project = Path(),
    database: str = "",
) -> None:
    """Say how many people a test would need, without beginning it.

    Parameters
    ----------
    outcome
        What decides. approval: thumbs. kept: answers that were not drawn anew. pairs: two drafts, one of each release.
    difference
        The smallest that is worth finding: .05 are five points.
    control
        The release that there is, of which mean and spread are taken from the journal; or the usual ones.
    share
        Of people, for the new release.
    power
        Chance of finding it.
    window_h
        Hours from their first answer on for which somebody is watched.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        made = _planned(
            journal, control, Plan(outcome=outcome, difference=difference, share=share, power=power, window_h=window_h)
        )
    size = anytime.size(made.design)
    print(_expected(made))
    print(
        f"{size.people:,} people in all find {trial_words.points(difference)} points in {100 * power:.0f} of 100 "
        f"tests, looked at as often as you like; half of those are over after {size.median:,}."
    )
    print(f"A test that is looked at once, at its end, would need {size.fixed:,}.")


@app.command
def start(
    name: str,
    control: str,
    treatment: str,
    *,
    outcome: Primary = "approval",
    difference: float = 0.05,
    share: float = 0.5,
    power: float = 0.8,
    window_h: float = 24.0,
    least: int = 20,
    harm: float = 0.0,
    people: int = 0,
    out: Project = Path(),
    database: str = "",
) -> None:
    """Begin a test. Whoever names no model is then answered by one of the two, always the same.

    Parameters
    ----------
    name
        What it is called.
    control
        The release that there is: its id, name or policy.
    treatment
        The new one. Both have to be served.
    outcome
        What decides. approval: thumbs. kept: answers that were not drawn anew. pairs: two drafts, one of each release.
    difference
        The smallest that is worth finding: .05 are five points.
    share
        Of people, for the new release.
    power
        Chance of finding it.
    window_h
        Hours from their first answer on for which somebody is watched.
    least
        People before anything is decided but harm.
    harm
        A loss that is surely larger ends the test at once: .02 are two points.
    people
        After so many it ends undecided; as many as the power needs when not given.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        made = _planned(
            journal,
            control,
            Plan(
                outcome=outcome, difference=difference, share=share, power=power, window_h=window_h, least=least,
                harm=harm, people=people,
            ),
        )  # fmt: skip
        test = trials.begin(journal, name, control, treatment, made, actor="command line")
    print(_expected(made))
    print(f"It ends by itself, at the latest after {test.plan['people']:,} people. `palate ab status` looks at it.")
    print(test.id)


@app.command
def status(*, out: Project = Path(), database: str = "") -> None:
    """Look at the test under way, or the last one; it ends here if its own rule says so.

    Parameters
    ----------
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        every = experiments.every(journal)
        if not every:
            print("Nothing was tested yet: `palate ab plan` says what a test needs, `palate ab start` begins one.")
            return
        look = trials.settle(journal, every[-1], actor="command line")
        last = experiments.steps(journal, every[-1].id)[-1]
    print(f"{look.test.name} ({look.test.id}), began {look.test.at[:16]}, {_state(last.state)}")
    print(trial_words.ended(last) if last.state == "stopped" else trial_words.sentence(look))
    for arm, people in zip(look.test.arms, look.assigned, strict=True):
        print(f"  {arm}  {people:,} people, planned {100 * look.test.arms[arm]:.0f} %")
    for row in trial_words.rows(look):
        print(f"  {row[0]:<28} {row[1]:>16} {row[2]:>16}  {row[3]:>7}  {row[4]}")
    if last.state == "began":
        pace = trial_words.pace(look)
        days = "" if math.isnan(pace) or not pace else f", about {math.ceil(trial_words.left(look) / pace):,} days"
        print(f"At most {trial_words.left(look):,} more people{days}.")


@app.command
def stop(*, why: str = "", out: Project = Path(), database: str = "") -> None:
    """End the test under way by hand: everybody is then served by the first release that the server has.

    Parameters
    ----------
    why
        For those who read of it later.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        test = experiments.current(journal)
        if test is None:
            raise DataError("no test is under way", hint="`palate ab status` shows the last one")
        look = trials.look(journal, test)
        low, high = look.primary.ends
        told = {"why": why, "low": low, "high": high, "people": look.counted}
        experiments.end(journal, test.id, "stopped", details=told, actor="command line")
        last = experiments.steps(journal, test.id)[-1]
    print(f"{test.name}. {trial_words.ended(last)}")


def _planned(journal: Journal, control: str, asked: Plan) -> Plan:
    """With the mean and spread that the control's people have had so far, where there were enough of them."""
    named = {*releases.aliases(journal), *(id for one in releases.every(journal) for id in (one.id, one.policy))}
    if asked.outcome == PAIRS or control not in named:
        return asked
    policy = releases.get(journal, control).policy
    seen = trials.before(journal, policy, asked.outcome, window_h=asked.window_h)
    if len(seen) < ENOUGH or not np.std(seen) > 0:
        return asked
    baseline = float(np.clip(np.mean(seen), 0.01, 0.99))
    spread = min(float(np.std(seen, ddof=1)), math.sqrt(baseline * (1 - baseline)))
    return replace(asked, baseline=baseline, spread=spread)


def _expected(made: Plan) -> str:
    found = "measured" if made.baseline else "the usual ones"
    design = made.design
    return (
        f"{OUTCOMES[made.outcome].name}: {OUTCOMES[made.outcome].means}. Expected under the control: mean "
        f"{100 * design.baseline:.1f}, deviation {100 * design.spread:.1f} between people ({found})."
    )


def _state(state: str) -> str:
    return {"began": "under way", "decided": "over by its own rule", "stopped": "stopped by hand"}[state]
