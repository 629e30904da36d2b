"""Which principle did what: how often it was drawn, what it changed, and what it led to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from palate.core.constitutions import Constitution
from palate.core.judges import TOGETHER
from palate.judging.revising import Revised, Step


class Deed(NamedTuple):
    """What one principle did."""

    principle: str
    revisions: int
    """Rounds of critique and revision by it."""
    changed: int
    """… that left another text."""
    comparisons: int
    """Pairs of answers that were judged by it."""
    decided: int
    """… with a side that was better; the rest are ties."""
    silent: int
    """… of which the judge would not say."""
    clearness: float
    """How far from a tie on average, from 0 to 1: the mean of |2 p - 1|."""


def steps_of(row: Revised) -> list[tuple[str, Step]]:
    """Each round with the text that it began with."""
    before = [row.answer, *(step.revision for step in row.steps)]
    return list(zip(before, row.steps, strict=False))


def deeds(
    constitution: Constitution, revised: Sequence[Revised], judged: Sequence[tuple[str, float | None]], tie: float
) -> list[Deed]:
    """A row for each principle, in the constitution's order.

    Args:
        constitution: What was drawn from.
        revised: What became of answers.
        judged: Of each comparison, the principle and P(first is better); None where there was no opinion.
        tie: An opinion is a tie this near to one half.
    """
    used, changed, seen, decided, silent = (Counter[str]() for _ in range(5))
    clear: Mapping[str, list[float]] = {one.id: [] for one in constitution.principles}
    for row in revised:
        for before, step in steps_of(row):
            used[step.principle] += 1
            changed[step.principle] += step.revision != before
    for principle, p in ((one, p) for several, p in judged for one in several.split(TOGETHER)):
        seen[principle] += 1
        if p is None:
            silent[principle] += 1
            continue
        decided[principle] += abs(p - 0.5) > tie
        clear[principle].append(abs(2 * p - 1))
    return [
        Deed(
            one.id, used[one.id], changed[one.id], seen[one.id], decided[one.id], silent[one.id],
            sum(clear[one.id]) / len(clear[one.id]) if clear[one.id] else 0.0,
        )
        for one in constitution.principles
    ]  # fmt: skip
