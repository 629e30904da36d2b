"""What a round is given on the command line: the project's files as records, and who judges in place of people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from palate.cli.data import demonstrations_of, prompts_of
from palate.cli.live import Live
from palate.cli.project import opened
from palate.core import constitutions
from palate.core.artefacts import Workspace
from palate.core.constitutions import Constitution
from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.core.ids import derive_seed
from palate.judging.template import ByPrinciple, by_principle
from palate.preferences import dataset
from palate.rounds import machine
from palate.rounds.evaluating import ASKED
from palate.rounds.meeting import Referee
from palate.rounds.project import PEOPLE, PRACTICE, Project, read
from palate.rounds.step import Context, Judges, Material
from palate.store import rounds
from palate.store.journal import Journal
from palate.store.rounds import Round
from palate.training.rl_settings import RolloutOptions

NOBODY = Round("", 0, "", {})
"""Before a round has begun."""


def project(out: Path) -> tuple[Project, Journal]:
    """Settings and journal of a project."""
    settings = read(out)
    return settings, opened(out, settings.files.database)


def context(
    settings: Project, journal: Journal, out: Path, round_: Round = NOBODY, options: RolloutOptions | None = None
) -> Context:
    """All that a round needs.

    Args:
        settings: Of the project; a round that has begun keeps its own.
        journal: Its journal.
        out: Its folder.
        round_: A round that has begun.
        options: Device, checkpoints, trackers.

    Raises:
        MissingArtefact: a file that the settings name is not there.
    """
    made = Context(
        project=settings, root=out, journal=journal, workspace=Workspace(out), round=round_,
        material=material(settings, out), judges=judges(settings), judge=referee(settings), asks=asking(settings),
        progress=Live(),
        options=options or RolloutOptions(),
    )  # fmt: skip
    return machine.taken_up(made) if round_.id else made


def material(settings: Project, out: Path) -> Material:
    """Records of the project's files."""
    files = settings.files
    names = ("base", "prompts", "heldout", "demonstrations", "red_team", "constitution")
    named = {f"[project] {name}": getattr(files, name) for name in names}
    named |= {f"[evaluate] {name}": getattr(settings.evaluate, name) for name in ASKED}
    for where, file in named.items():
        if file and not (out / file).exists():
            raise MissingArtefact("a file that palate.toml names is not there", where=where, found=str(out / file))
    asked = prompts_of(out / files.prompts, out)[0]
    practised = asked
    if files.heldout:
        heldout = prompts_of(out / files.heldout, out)[0]
    else:
        share, seed = settings.dataset.heldout_fraction, settings.dataset.seed
        heldout = [one for one in asked if dataset.side(one.id, share, seed) == "heldout"]
        practised = [one for one in asked if dataset.side(one.id, share, seed) != "heldout"]
    if not practised or not heldout:
        raise ConfigError(
            "there are too few prompts", where=f"[project] prompts = {files.prompts!r}",
            expected="some to train on and some to evaluate with", found=f"{len(practised)} and {len(heldout)}",
        )  # fmt: skip
    shown = None
    if files.demonstrations:
        told, unseen, id = demonstrations_of(out / files.demonstrations, out)
        shown = Workspace(out).path(id) if Workspace(out).has(id) else out / files.demonstrations
        del told, unseen
    from palate.cli.revise import brought

    principles = (
        constitutions.read(out / files.constitution) if files.constitution
        else constitutions.parse(brought(), ".md", "the constitution that Palate brings")
    )  # fmt: skip
    return Material(
        prompts=asked, practised=practised, heldout=heldout, demonstrations=shown, constitution=principles,
        red_team=prompts_of(out / files.red_team, out)[0] if files.red_team else [],
    )  # fmt: skip


def judges(settings: Project) -> dict[str, Judges]:
    """Who judges in place of people, by step."""
    found: dict[str, Judges] = {}
    who = settings.collect.raters
    if who == PRACTICE:
        found["collect"] = practice
    elif who != PEOPLE:
        found["collect"] = model(who)
    if settings.judge.model:
        found["judge"] = model(settings.judge.model, gaps=True)
    return found


def referee(settings: Project) -> Referee | None:
    """Who judges the evaluation, where a model is named."""
    if settings.evaluate.judge in ("", PEOPLE, PRACTICE):
        return None
    from palate.cli.judges import chosen

    found = chosen(settings.evaluate.judge)
    return Referee(found.judge, found.settings, found.inputs)


def asking(settings: Project) -> Callable[[Constitution, int], ByPrinciple]:
    """How a model is asked to compare by principles; those of the practice world know no fences."""
    if settings.collect.raters != PRACTICE:
        return by_principle
    from palate.world.ai_feedback import talk

    return talk.template


def practice(context: Context, source: str) -> int:
    """Raters of the practice world."""
    from palate.world.round_raters import judge_source

    seed = derive_seed(context.project.files.seed, "raters")
    wanted = context.project.collect.judgements
    asked = context.for_people(source)
    return judge_source(context.journal, asked, source, wanted=wanted, seed=seed, progress=context.progress)


def model(typed: str, *, gaps: bool = False) -> Judges:
    """A model that judges, by its folder or address; with `gaps` only what no person has judged."""

    def label(context: Context, source: str) -> int:
        from palate.cli.judges import chosen
        from palate.judging import labelling

        one = chosen(typed)
        told = labelling.label(
            context.journal, one.judge, one.who, sources=(source,) if source else (), orders=one.orders,
            gaps=gaps, progress=context.progress,
        )  # fmt: skip
        if told.failed and told.failed == told.asked:
            raise DataError(
                "the model that judges answered nothing", where=typed, expected=f"{told.asked} opinions",
                found="; ".join(told.reasons)[:200], hint="`palate round resume` asks again",
            )  # fmt: skip
        return told.asked

    return label


def last(journal: Journal, number: int = 0) -> Round:
    """A round by its number, or the last one.

    Raises:
        MissingArtefact: there is none.
    """
    every = rounds.every(journal)
    found: Round | None = next((one for one in reversed(every) if number in (0, one.number)), None)
    if found is None:
        raise MissingArtefact(
            f"there is no round {number}" if number else "there is no round yet", found=f"{len(every)} rounds",
            hint="`palate round start` begins one",
        )  # fmt: skip
    return found
