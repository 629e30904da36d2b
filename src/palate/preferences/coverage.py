"""What the judgements cover, and the holes by name: a model learns only what somebody judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import DataError
from palate.preferences.votes import Votes

WANTED: Final = 30
"""Judgements below which a cell is a hole: fewer cannot tell 50 % from 75 %."""
NOT_TOLD: Final = "(not told)"


class Cell(NamedTuple):
    """How much there is of one kind, such as category `refunds`, or `refunds` in `de`."""

    axes: tuple[str, ...]
    names: tuple[str, ...]
    comparisons: int
    """With at least one verdict."""
    judgements: int
    """Verdicts with a direction, or ties."""
    raters: int


class Coverage(NamedTuple):
    """All cells, and those that hold too little."""

    cells: list[Cell]
    holes: list[Cell]
    wanted: int


def coverage(
    votes: Votes,
    comparisons: Mapping[str, Sequence[str]],
    raters: Mapping[str, Sequence[str]] | None = None,
    *,
    wanted: int = WANTED,
    expected: Mapping[str, Sequence[str]] | None = None,
) -> Coverage:
    """Count by every axis, and by every two.

    Args:
        votes: All of them.
        comparisons: Axes of comparisons, such as category and language: for each a name a comparison.
        raters: Axes of raters, such as their group: for each a name a rater.
        wanted: Judgements a cell should have.
        expected: For an axis the names that should be there, so that what nobody asked is a hole too.

    Raises:
        DataError: an axis does not have one name for each.
    """
    voices = votes.voices()
    row_of: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for axes, index, size in (
        (comparisons, voices.comparison, len(votes.comparisons)),
        (raters or {}, voices.rater, len(votes.raters)),
    ):
        for axis, given in axes.items():
            if len(given) != size:
                raise DataError(f"the axis {axis} does not fit", expected=f"{size} names", found=f"{len(given)}")
            seen = sorted({name or NOT_TOLD for name in given} | set((expected or {}).get(axis, ())))
            place = {name: code for code, name in enumerate(seen)}
            row_of[axis] = np.array([place[name or NOT_TOLD] for name in given], dtype=np.int64)[index]
            names[axis] = seen
    cells = []
    for chosen in [*((axis,) for axis in row_of), *combinations(row_of, 2)]:
        cells += _count(voices, chosen, row_of, names)
    holes = [cell for cell in cells if cell.judgements < wanted and NOT_TOLD not in cell.names]
    # A name that is a hole already makes all its pairs holes: they say nothing new.
    alone = {(cell.axes[0], cell.names[0]) for cell in holes if len(cell.axes) == 1}
    holes = [
        cell
        for cell in holes
        if len(cell.axes) == 1 or not any(pair in alone for pair in zip(cell.axes, cell.names, strict=True))
    ]
    return Coverage(cells, sorted(holes, key=lambda cell: (len(cell.axes), cell.judgements, cell.names)), wanted)


def sentence(found: Coverage) -> str:
    """What a page says."""
    if not found.cells:
        return "Nothing is known of what comparisons are about."
    if not found.holes:
        return f"No hole: every category has at least {found.wanted} judgements."
    named = ", ".join(f"{' / '.join(cell.names)} ({cell.judgements})" for cell in found.holes[:5])
    more = f" and {len(found.holes) - 5} more" if len(found.holes) > 5 else ""
    return f"Fewer than {found.wanted} judgements: {named}{more}. What nobody judges, no model learns."


def _count(
    voices: Votes, axes: tuple[str, ...], row_of: Mapping[str, np.ndarray], names: Mapping[str, list[str]]
) -> list[Cell]:
    shape = tuple(len(names[axis]) for axis in axes)
    size = int(np.prod(shape))
    code = np.ravel_multi_index(tuple(row_of[axis] for axis in axes), shape) if len(voices) else np.zeros(0, np.int64)
    judgements = np.bincount(code, minlength=size)
    different = [
        np.bincount(np.unique(code * of + index) // of, minlength=size)
        for index, of in (
            (voices.comparison, max(len(voices.comparisons), 1)),
            (voices.rater, max(len(voices.raters), 1)),
        )
    ]
    cells = []
    for number in range(size):
        where = np.unravel_index(number, shape)
        told = tuple(names[axis][int(place)] for axis, place in zip(axes, where, strict=True))
        cells.append(Cell(axes, told, int(different[0][number]), int(judgements[number]), int(different[1][number])))
    return cells
