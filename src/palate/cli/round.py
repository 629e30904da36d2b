"""`palate round`: one turn of the cycle as a machine that can be stopped anywhere."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from palate.cli import turns
from palate.cli.recipe import Options
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.rounds import machine
from palate.rounds.step import Context
from palate.rounds.turn import Turn, holding, left, look
from palate.rounds.turn import abort as ended
from palate.rounds.turn import override as passed
from palate.store import rounds
from palate.store.journal import Journal
from palate.store.rounds import Round
from palate.training.rl_settings import RolloutOptions

app = App(name="round", help="Collect, train, evaluate, gate, release: one turn of the cycle, which can be cut off.")
Folder = Annotated[Path, Parameter(name="--out")]
Flag = Annotated[bool, Parameter(negative=())]


@app.command
def start(
    *, rounds_: Annotated[int, Parameter(name="--rounds")] = 1, out: Folder = Path(),
    options: Options[RolloutOptions] = RolloutOptions(),  # noqa: B008 - frozen
) -> None:  # fmt: skip
    """Begin a round by `palate.toml`, and go on until it is done, waits for people, or fails a gate.

    Parameters
    ----------
    rounds_
        So many rounds, one after another; it ends with the first that waits or fails.
    out
        Project folder.
    """
    if rounds_ < 1:
        raise ConfigError("nothing would begin", where="--rounds", expected="1 or more", found=str(rounds_))
    settings, journal = turns.project(out)
    with journal:
        for _ in range(rounds_):
            context = machine.begin(turns.context(settings, journal, out, options=options), actor="command line")
            turn = _work(context)
            if turn.state != "done":
                break


@app.command
def resume(
    *, out: Folder = Path(), override: Flag = False, why: str = "",
    options: Options[RolloutOptions] = RolloutOptions(),  # noqa: B008
) -> None:  # fmt: skip
    """Go on with the round that is under way: after a crash, after people have judged, or past a gate that failed.

    Parameters
    ----------
    out
        Project folder.
    override
        Release the policy though it failed a gate; needs --why, which stands in the journal for good.
    why
        The reason.
    """
    settings, journal = turns.project(out)
    with journal:
        context = turns.context(settings, journal, out, turns.last(journal), options)
        if override:
            passed(journal, context.workspace, context.round, why, actor="command line")
            context = machine.taken_up(context)
        _work(context)


@app.command
def abort(*, out: Folder = Path(), why: str = "") -> None:
    """End the round that is under way; what it made stays.

    Parameters
    ----------
    out
        Project folder.
    why
        The reason, for the record.
    """
    _, journal = turns.project(out)
    with journal:
        told = turns.last(journal)
        at_work = ended(journal, Workspace(out), told, why=why)
        print(f"Round {told.number} is over{'; the process at work on it was told to stop' if at_work else ''}.")


@app.command
def status(*, out: Folder = Path()) -> None:
    """Say how far the last round has come, in a line for programs too: exit code 0 done, 3 waiting, 2 failed.

    Parameters
    ----------
    out
        Project folder.
    """
    _, journal = turns.project(out)
    with journal:
        turn = look(journal, Workspace(out), turns.last(journal))
        _tell(turn, journal, busy=bool(holding(Workspace(out))))
        sys.exit({"done": 0, "stopped": 0, "waiting": 3, "failed": 2}.get(turn.state, 0))


@app.command
def show(number: int = 0, *, out: Folder = Path()) -> None:
    """Show every step of a round: when, what it left, its figures.

    Parameters
    ----------
    number
        Of the round; the last one when not given.
    out
        Project folder.
    """
    _, journal = turns.project(out)
    with journal:
        told = turns.last(journal, number)
        table = Table("step", "state", "at", "artefact", "figures", title=f"Round {told.number} ({told.id})")
        for one in rounds.steps(journal, told.id):
            figures = ", ".join(f"{name} {_short(value)}" for name, value in one.details.items())
            table.add_row(one.step or "the round", one.state, one.at[:19].replace("T", " "), one.artefact, figures)
        Console().print(table)


@app.command
def plan(*, raters: int = 3, hours: float = 5.0, per_hour: float = 60.0, out: Folder = Path()) -> None:
    """Say what a round will take before it begins: labels, people's time, memory, and what its evaluation can see.

    Parameters
    ----------
    raters
        People who judge.
    hours
        Hours a week of each.
    per_hour
        Comparisons that one judges in an hour.
    out
        Project folder.
    """
    from palate.rounds.planning import Team
    from palate.rounds.planning import plan as made

    settings, journal = turns.project(out)
    with journal:
        for sentence in made(turns.context(settings, journal, out), Team(raters, hours, per_hour)):
            print(sentence)


@app.command
def watch(*, every_s: float = 60.0, once: Flag = False, drift: Flag = False, out: Folder = Path()) -> None:
    """Begin rounds by themselves: when enough new judgements are there, within the budget of `[continuous]`.

    A round that waits for people is tried again; one that failed a gate waits for a person. Ctrl-C ends the watch,
    and with it, at a place from which it can go on, the round that is at work.

    Parameters
    ----------
    every_s
        Seconds between two looks.
    once
        Look once, do what is to be done, and end: for timers of the system.
    drift
        Say, too, whether people ask or like other things than the last round's dataset tells.
    out
        Project folder.
    """
    while True:
        _look(out, drift)
        if once:
            return
        time.sleep(every_s)


def _look(out: Path, drift: bool) -> None:
    from palate.rounds.watching import look_once

    settings, journal = turns.project(out)

    def context(one: Round | None) -> Context:
        return turns.context(settings, journal, out, one or turns.NOBODY)

    with journal:
        if drift:
            _drift(journal, out)
        print(look_once(settings.continuous, journal, Workspace(out), context))


def _drift(journal: Journal, out: Path) -> None:
    """Both watches, of the last round that has a dataset and a reward model."""
    from palate.evaluation.reward_judge import RewardJudge
    from palate.rounds import drifting

    workspace = Workspace(out)
    made: dict[str, str] = {}
    for one in rounds.every(journal):
        made |= {step: id for step, id in left(journal, workspace, one.id).items() if id}
    if "dataset" not in made:
        print("Drift: there is no dataset yet.")
        return
    data = workspace.path(made["dataset"])
    print(drifting.asked(journal, data).sentence)
    if "reward" in made:
        print(drifting.liked(journal, data, RewardJudge(workspace.path(made["reward"]))).sentence)


def _work(context: Context) -> Turn:
    turn = machine.go(context)
    _tell(turn, context.journal)
    return turn


def _tell(turn: Turn, journal: Journal, *, busy: bool = False) -> None:
    told: Round = turn.round
    if turn.state == "done":
        done = rounds.steps(journal, told.id)
        released: dict[str, str] = next((one.details for one in reversed(done) if one.step == "release"), {})
        print(f"Round {told.number} is done: {released.get('alias', '')} is release {released.get('release', '')}.")
    elif turn.state == "waiting":
        print(f"Round {told.number} waits at {turn.step}: {turn.why}. `palate round resume` goes on.")
    elif turn.state == "failed":
        print(f"Round {told.number} failed at {turn.step}: {turn.why}")
    elif turn.state == "stopped":
        print(f"Round {told.number} was ended.")
    else:
        how = "is at work on" if busy else "was cut off at"
        print(f"Round {told.number} {how} {turn.step}." + ("" if busy else " `palate round resume` goes on."))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:60]
