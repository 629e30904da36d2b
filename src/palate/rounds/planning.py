"""What a round will take, before it begins: labels and people's time, memory, and which difference it could see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError
from palate.models.room import in_words, room_on
from palate.rounds.project import PEOPLE, Project
from palate.rounds.step import Context
from palate.store import rounds
from palate.training.memory_check import plan_of, work_of

TIES: Final = 0.2
"""Share of ties that is reckoned with; each is half a win, so that they make a rate more certain."""
_Z: Final = 1.959964 + 0.841621
"""Normal quantiles of a two-sided test at 5 % and of a power of 80 %."""


class Team(NamedTuple):
    """Who judges, and how much."""

    raters: int
    hours: float
    """A week, of each."""
    per_hour: float
    """Comparisons that one judges in an hour."""

    @property
    def judgements(self) -> float:
        """A week, of all."""
        return self.raters * self.hours * self.per_hour


def plan(context: Context, team: Team) -> Iterator[str]:
    """Sentences for people.

    Raises:
        ConfigError: nobody judges.
    """
    if min(team) <= 0:
        raise ConfigError(
            "nobody would judge", expected="raters, hours and comparisons an hour above 0", found=str(tuple(team))
        )
    project = context.project
    yield f"A round of shape {project.shape}: {', '.join(project.steps)}."
    yield from _labels(project, len(context.material.prompts), team)
    pairs = min(project.evaluate.count, len(context.material.heldout))
    yield (
        f"The evaluation compares {pairs} pairs: it sees a win rate that differs from one half by "
        f"{100 * detectable(pairs):.0f} points (80 % power, {TIES:.0%} ties)."
    )
    yield from _memory(context)
    yield _time(context)


def _labels(project: Project, prompts: int, team: Team) -> Iterator[str]:
    collect = project.collect
    count = min(collect.count, prompts)
    each = min(collect.pairs, collect.completions * (collect.completions - 1) // 2)
    comparisons = count * each
    if not comparisons:
        yield "Nothing is collected: what the journal holds is enough."
        return
    if share := project.judge.share:
        yield f"Some {share:.0%} of {comparisons} comparisons are left to {project.judge.model}."
        comparisons = round((1 - share) * comparisons)
    if not comparisons:
        yield "People are asked about none."
        return
    yield (
        f"{count} prompts with {collect.completions} answers each make up to {comparisons} comparisons, "
        f"{comparisons * collect.judgements} judgements."
    )
    if collect.raters != PEOPLE:
        yield f"They are judged by {collect.raters}; nobody has to wait."
        return
    # With two wanted, about half of the comparisons need a third voice.
    needed = comparisons * (collect.judgements + (0.5 if collect.judgements == 2 else 0.0))
    a_week = int(team.judgements / needed * comparisons)
    yield (
        f"{team.raters} raters, {team.hours:g} h a week each, {team.per_hour:g} an hour: some {a_week} comparisons a "
        f"week, so this takes {needed / team.judgements:.1f} weeks."
    )
    if a_week < comparisons:
        yield (
            f"A week of theirs would allow a difference of {100 * detectable(a_week):.0f} points to be seen if they "
            "compared releases instead."
        )


def detectable(pairs: int, ties: float = TIES) -> float:
    """Distance of a win rate from one half that a two-sided test at 5 % sees with a power of 80 %.

    Args:
        pairs: That are judged, each once.
        ties: Share of them that end in a tie, half a win each.
    """
    return _Z * math.sqrt((1 - ties) / 4 / pairs) if pairs > 0 else math.inf


def _memory(context: Context) -> Iterator[str]:
    chosen = context.project.policy
    if not hasattr(chosen.config, "max_new_tokens") or chosen.recipe == "constitutional":
        return
    prompts = [(192, 0)] * 256
    work = work_of(f"train {chosen.recipe}", chosen.config, context.reference, prompts, "")
    device = context.options.torch_device()
    found, room = plan_of(chosen.config, work, device), room_on(device)
    there = f"; {in_words(room.whole)} are free on {device}" if room is not None else ""
    yield f"{chosen.recipe} needs about {in_words(found.peak.total)} of memory{there}."


def _time(context: Context) -> str:
    """How long the last round's machine work took, where there was one."""
    spent: dict[str, float] = {}
    for one in rounds.every(context.journal):
        for step in rounds.steps(context.journal, one.id):
            if step.state == "done" and step.artefact and context.workspace.has(step.artefact):
                spent[step.step] = _seconds(context.workspace, step.artefact)
    told = {name: seconds for name, seconds in spent.items() if seconds}
    if not told:
        return "How long training takes is known after the first round."
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in told.items())
    return f"The last round's training took {sum(told.values()):.0f} s ({parts})."


def _seconds(workspace: Workspace, id: str) -> float:
    value = read_manifest(workspace.path(id)).facts.get("time_s", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
