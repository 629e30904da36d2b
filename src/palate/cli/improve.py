"""`palate improve`: a model learns from its own answers, round after round, and people look at a share of it."""

from __future__ import annotations

from pathlib import Path

from palate.cli.data import JOURNAL, demonstrations_of, prompts_of
from palate.cli.judges import chosen
from palate.cli.live import Live
from palate.cli.project import opened
from palate.cli.recipe import Options, Settings
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.judging.collapse import Audited, Finding, State
from palate.models import load
from palate.preferences.voices import by_comparison
from palate.rounds.audits import WORTH
from palate.rounds.own_answers import Asked
from palate.rounds.self_play import Given, Improved, SelfPlayConfig
from palate.rounds.self_play import improve as improve_
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.training.run import RunOptions


def improve(
    model: Path,
    *,
    prompts: Path | None = None,
    demonstrations: Path | None = None,
    judge: str = "",
    judge_model: str = "",
    out: Path = Path(),
    database: str = "",
    config: Settings[SelfPlayConfig] = SelfPlayConfig(),  # noqa: B008 - frozen
    options: Options[RunOptions] = RunOptions(),  # noqa: B008
) -> None:
    """Have a model learn from its own answers, and people look at a share of what it learns.

    The same command goes on where it was cut off, and holds what people said since against the judge; where they no
    longer agree with it as they did, the run ends with the policy from before. What is printed last is that policy.

    Parameters
    ----------
    model
        Folder of the policy to begin with.
    prompts
        A dataset artefact or any file with prompts; with `--how spin` those of the demonstrations are asked.
    demonstrations
        With `--how spin`: a dataset artefact, or a file.
    judge
        Who ranks answers: a folder or an address, as in `palate judge label`. Without, each round's policy itself.
    judge_model
        What the judge's server calls the model; the first it lists when not given.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    load.read_config(model)  # refuse before any work
    spin = config.how == "spin"
    if spin and (demonstrations is None or prompts is not None):
        raise ConfigError("`spin` asks the prompts of demonstrations", expected="--demonstrations, and no --prompts")
    if not spin and (prompts is None or demonstrations is not None):
        raise ConfigError(f"`{config.how}` answers prompts", expected="--prompts, and no --demonstrations")
    shown = demonstrations_of(demonstrations, out)[0] if demonstrations else []
    asked = prompts_of(prompts, out)[0] if prompts else []
    who = chosen(judge, judge_model) if judge else None
    with opened(out, database) if database else Journal.open(out / JOURNAL) as journal:
        given = Given(
            model, asked, shown, [Asked(who.judge, who.who, who.orders)] if who else [],
            _before(journal, who.who.rater) if who else (),
        )  # fmt: skip
        told = improve_(config, given, Workspace(out), journal, Live(), options)
    _say(told)
    print(told.policy)


def _before(journal: Journal, judge: str) -> list[Audited]:
    """What people said of the judge's earlier verdicts, on comparisons that are no self-play's."""
    models = {id for id, one in rows.raters(journal).items() if one.kind == "model"}
    people = by_comparison([j for j in judgements.judgements(journal) if j.rater not in models])
    said = {id: opinions.p_first(some) for id, some in opinions.opinions(journal, judge).items()}
    both = rows.some_comparisons(journal, people.keys() & said.keys())
    return [
        Audited(p, sum(WORTH[j.verdict] for j in people[id]) / len(people[id]))
        for id, one in sorted(both.items())
        if (p := said[id]) is not None and not one.source.startswith("self-play/")
    ]


def _say(told: Improved) -> None:
    for one in told.found:
        print(f"round {one.round}: {_audited(one)}{one.state}" + "".join(f"\n  {why}" for why in one.why))
    if any(one.state is State.COLLAPSE for one in told.found):
        print("The policy is the one that round began with.")
    elif told.ended:
        print(told.ended)
    if told.waiting:
        print(f"{told.waiting} pairs are in the queue for people; the same command looks at what they said.")


def _audited(one: Finding) -> str:
    if not one.audits:
        return ""
    return f"{one.audits} audits, people agree on {one.agreement:.0%} (promised {one.promised:.0%}): "
