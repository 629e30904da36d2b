"""Rounds that begin by themselves: when enough new judgements are there, within a budget, behind the same gates.

A round that waits for people is tried again, one that failed a gate waits for a person, and while one is under way
none begins. Who looks twice at once, or from two machines, begins one round: each names the number it would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.core.records import EVALUATION
from palate.rounds.turn import look
from palate.store import judgements, rounds
from palate.store.journal import Journal
from palate.store.rounds import Round


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousConfig:
    """`[continuous]`: when a round begins by itself."""

    judgements: int = 400
    """New ones, since the last dataset was frozen; what people say in evaluations is not counted."""
    rounds: int = 4
    """At most so many within `days`."""
    hours: float = 24.0
    """At most so much machine time within `days`, as far as the last round tells."""
    days: float = 30.0

    def __post_init__(self) -> None:
        if min(self.judgements, self.rounds) < 1 or min(self.hours, self.days) <= 0:
            raise ConfigError(
                "[continuous] would never begin a round", expected="judgements and rounds of 1 or more, hours and days "
                "above 0", found=str(self),
            )  # fmt: skip


class Next(NamedTuple):
    """What is to be done now."""

    do: str
    """begin, resume, or wait."""
    why: str
    number: int = 0
    """Of the round that would begin."""


def next_(journal: Journal, workspace: Workspace, config: ContinuousConfig, *, now: str = "") -> Next:
    """What is to be done now, read off the journal alone.

    Args:
        journal: The project's.
        workspace: Its artefacts.
        config: When a round begins.
        now: UTC, ISO 8601; the present when empty.
    """
    every = rounds.every(journal)
    if every and rounds.state(journal, every[-1].id) not in rounds.OVER:
        turn = look(journal, workspace, every[-1])
        if turn.state == "failed":
            return Next("wait", f"round {turn.round.number} failed at {turn.step}: a person must look at it")
        return Next("resume", f"round {turn.round.number} is at {turn.step}")
    new = judgements.count_after(journal, used_until(journal, every), besides=EVALUATION)
    if new < config.judgements:
        return Next("wait", f"{new} of {config.judgements} new judgements")
    moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
    recent = [one for one in every if datetime.fromisoformat(one.at) > moment - timedelta(days=config.days)]
    if len(recent) >= config.rounds:
        return Next("wait", f"the budget of {config.rounds} rounds in {config.days:g} days is used up")
    spent = [hours(journal, one) for one in recent]
    if spent and sum(spent) + spent[-1] > config.hours:
        return Next("wait", f"{sum(spent):.1f} of {config.hours:g} hours in {config.days:g} days are used up, "
                            f"and the last round took {spent[-1]:.1f}")  # fmt: skip
    return Next("begin", f"{new} new judgements", (every[-1].number if every else 0) + 1)


def used_until(journal: Journal, every: list[Round]) -> int:
    """Number of the last judgement that a round's dataset could hold, 0 before the first."""
    found = 0
    for one in every:
        for step in rounds.steps(journal, one.id):
            if step.step == "dataset" and step.state == "done":
                found = max(found, int(step.details.get("until", 0)))
    return found


def hours(journal: Journal, round_: Round) -> float:
    """Machine time of a round: from each step's last beginning to what came of it, waiting for people left out."""
    begun: dict[str, datetime] = {}
    total = timedelta()
    for one in rounds.steps(journal, round_.id):
        if one.step and one.state == "began":
            begun[one.step] = datetime.fromisoformat(one.at)
        elif one.step in begun and one.state in ("done", "waiting", "failed"):
            total += datetime.fromisoformat(one.at) - begun.pop(one.step)
    return total.total_seconds() / 3600
