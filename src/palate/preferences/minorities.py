"""Groups of raters: how large each is, and how often the majority of all decides against it.

A small group can be outvoted on everything that it cares about while all averages look well. So for each group
its own majority is held against the majority of everyone, wherever the group named a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from palate.preferences.analytic import share, spoken
from palate.preferences.resampling import Estimate
from palate.preferences.votes import FIRST, SECOND, SIDES, Votes


class Group(NamedTuple):
    """One group, as raters told it themselves."""

    name: str
    raters: int
    judgements: int
    """With a side named."""
    share: float
    """Of all judgements that name a side."""
    overruled: Estimate
    """Of comparisons where the group's majority is clear and others spoke too: how often all decided otherwise.
    A tie of all is no decision against anyone."""
    split: int
    """Comparisons on which the group itself had no majority."""


class Overruled(NamedTuple):
    """A comparison on which a group was overruled."""

    comparison: str
    group: str
    first: tuple[int, int]
    """Votes for the first, of the group and of all others."""
    second: tuple[int, int]


def groups(votes: Votes, group: np.ndarray, names: Sequence[str]) -> list[Group]:
    """Every group that judged anything, the smallest first.

    Args:
        votes: All of them.
        group: Of each rater, the number of their group, or -1 when they told none.
        names: Of the groups.
    """
    rows, cells = _cells(votes, group, len(names))
    total = len(rows)
    of = group[rows.rater]
    found = []
    for number, name in enumerate(names):
        mine = int((of == number).sum())
        if mine:
            clear, against = _overruled(cells, number)
            found.append(
                Group(
                    name,
                    len(np.unique(rows.rater[of == number])),
                    mine,
                    mine / total,
                    share(against, clear),
                    int(((cells[:, number].sum(axis=1) > 0) & (_lean(cells[:, number]) == 0)).sum()),
                )
            )
    return sorted(found, key=lambda one: (one.judgements, one.name))


def overruled(votes: Votes, group: np.ndarray, names: Sequence[str], count: int) -> list[Overruled]:
    """Comparisons on which a group was overruled, those with the clearest group first."""
    _, cells = _cells(votes, group, len(names))
    everyone = cells.sum(axis=1)
    found = []
    for number, name in enumerate(names):
        rows = np.flatnonzero(_overruled(cells, number)[1])
        for row in rows.tolist():
            mine, rest = cells[row, number], everyone[row] - cells[row, number]
            first, second = zip(mine.tolist(), rest.tolist(), strict=True)
            found.append(
                (-abs(int(mine[0]) - int(mine[1])), row, Overruled(votes.comparisons[row], name, first, second))
            )
    return [one for _, _, one in sorted(found, key=lambda item: item[:2])[:count]]


def sentence(found: Group) -> str:
    """What a page says of one group."""
    told = f"{found.name}: {found.raters} raters, {found.share:.1%} of {'all' if found.share < 1 else 'the'} verdicts."
    if not found.overruled.n:
        return f"{told} How often it is overruled is not known: it shares no comparison with others."
    return f"{told} The majority decides against it on {spoken(found.overruled)} of comparisons."


def _cells(votes: Votes, group: np.ndarray, count: int) -> tuple[Votes, np.ndarray]:
    """Voices that name a side, and their number by comparison, group (the last: none told) and side."""
    voices = votes.voices()
    rows = voices.where(voices.label < SIDES)
    of = group[rows.rater]
    of = np.where(of >= 0, of, count)
    return rows, rows.counts(of * SIDES + rows.label, (count + 1) * SIDES).reshape(-1, count + 1, SIDES)


def _lean(cells: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(cells[..., FIRST] - cells[..., SECOND]))


def _overruled(cells: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """For each comparison, whether the group's will is clear beside others, and whether all decided otherwise."""
    mine, everyone = cells[:, number], cells.sum(axis=1)
    clear = (_lean(mine) != 0) & (everyone.sum(axis=1) > mine.sum(axis=1))
    return clear, clear & (_lean(everyone) == -_lean(mine))
