"""Judgements as columns: integer arrays that a million rows of fit into, and that statistics run over.

A row is a judgement that no other supersedes, in the order in which it was written. Marked repeats are rows of
their own, so that a rater can be held against themself; `heard` gives each rater one voice, as `voices` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from palate.core.errors import DataError
from palate.core.records import TASKS, Judgement, Verdict
from palate.store.columns import Columns
from palate.store.judgements import without_superseded

VERDICTS: Final = tuple(Verdict)
FIRST, SECOND, TIE, BOTH_BAD, SKIP = range(len(VERDICTS))
"""Codes of `Votes.label`, in the order of `Verdict`."""
SIDES: Final = 2
"""Labels below this name a side."""
DIRECTED: Final = 3
"""Labels below this say which completion is better, or that neither is."""
UNSAID: Final = 2
"""The strength that a side without a strength is taken for where a scale is needed: the middle one."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Votes:
    """Columns of equal length, a row a judgement, and the names that their numbers stand for."""

    comparison: np.ndarray
    """Index into `comparisons`."""
    rater: np.ndarray
    """Index into `raters`."""
    label: np.ndarray
    """`FIRST`, `SECOND`, `TIE`, `BOTH_BAD` or `SKIP`."""
    strength: np.ndarray
    """0 not said, 1 slightly, 2 better, 3 much better."""
    swapped: np.ndarray
    """True where this rater saw `second` on the left."""
    seconds: np.ndarray
    """Time from shown to judged; NaN where unknown."""
    guideline: np.ndarray
    """Index into `guidelines`."""
    task: np.ndarray
    """Index into `palate.core.records.TASKS`."""
    time: np.ndarray
    """When it was judged, seconds since 1970 UTC; NaN where unknown."""
    comparisons: Sequence[str]
    raters: Sequence[str]
    guidelines: Sequence[str]
    length: np.ndarray
    """Characters of the first and the second completion, a row a comparison; -1 where unknown."""

    def __post_init__(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(sizes.values())) > 1:
            raise DataError("columns of votes differ in length", found=str(sizes), expected="one row a judgement")
        if self.length.shape != (len(self.comparisons), 2):
            raise DataError(
                "lengths do not fit the comparisons",
                expected=f"({len(self.comparisons)}, 2): a row a comparison",
                found=str(self.length.shape),
            )
        for name, names in (("comparison", self.comparisons), ("rater", self.raters), ("label", VERDICTS)):
            column = getattr(self, name)
            if len(column) and not (column.min() >= 0 and column.max() < len(names)):
                raise DataError(
                    f"the column {name} of votes points at nothing",
                    expected=f"0 to {len(names) - 1}",
                    found=f"{column.min()} to {column.max()}",
                )

    def __len__(self) -> int:
        return len(self.label)

    def where(self, mask: np.ndarray) -> Votes:
        """The rows of a mask (or of indices), with all names kept."""
        return replace(self, **{name: getattr(self, name)[mask] for name in COLUMNS})

    def heard(self) -> Votes:
        """For each rater and comparison the last row."""
        key = self.comparison.astype(np.int64) * len(self.raters) + self.rater
        _, last = np.unique(key[::-1], return_index=True)
        return self.where(np.sort(len(key) - 1 - last))

    def voices(self) -> Votes:
        """Those of `heard` that have a direction or are a tie: what agreement and labels are made of."""
        found = self.heard()
        return found.where(found.label < DIRECTED)

    def counts(self, codes: np.ndarray, levels: int) -> np.ndarray:
        """How often each code was given to each comparison: a row a comparison, a column a code."""
        cells = self.comparison.astype(np.int64) * levels + codes
        return np.bincount(cells, minlength=len(self.comparisons) * levels).reshape(-1, levels)

    def scale(self) -> np.ndarray:
        """Each directed row on the raters' scale: -3 second much better, 0 a tie, 3 first much better."""
        said = np.where(self.strength > 0, self.strength, UNSAID).astype(np.int64)
        return np.where(self.label == FIRST, said, np.where(self.label == SECOND, -said, 0))


COLUMNS: Final = tuple(f.name for f in fields(Votes) if f.name not in ("comparisons", "raters", "guidelines", "length"))


def votes_of(judgements: Iterable[Judgement], lengths: Mapping[str, tuple[int, int]] | None = None) -> Votes:
    """Columns of judgements, without those that another supersedes.

    Args:
        judgements: In the order in which they were written.
        lengths: For each comparison, characters of its first and second completion.
    """
    rows = without_superseded(list(judgements))
    comparison, comparisons = _coded(j.comparison for j in rows)
    rater, raters = _coded(j.rater for j in rows)
    guideline, guidelines = _coded(j.guideline for j in rows)
    verdict = {name: code for code, name in enumerate(VERDICTS)}
    task = {name: code for code, name in enumerate(TASKS)}
    known = lengths or {}
    return Votes(
        comparison=comparison,
        rater=rater,
        label=_column((verdict[j.verdict] for j in rows), np.int8),
        strength=_column((j.strength for j in rows), np.int8),
        swapped=_column((j.swapped for j in rows), np.bool_),
        seconds=_column((np.nan if j.seconds is None else j.seconds for j in rows), np.float64),
        guideline=guideline,
        task=_column((task[j.task] for j in rows), np.int8),
        time=_column((_seconds(j.judged_at) for j in rows), np.float64),
        comparisons=comparisons,
        raters=raters,
        guidelines=guidelines,
        length=np.array([known.get(c, (-1, -1)) for c in comparisons], dtype=np.int64).reshape(-1, 2),
    )


def votes_of_columns(columns: Columns) -> Votes:
    """The same from a large read of the journal, which makes no record of each row."""
    current = np.asarray(columns.current, dtype=bool)
    votes = votes_from(
        columns.comparison,
        columns.rater,
        columns.verdict,
        comparisons=columns.comparisons,
        raters=columns.raters,
        guidelines=columns.guidelines,
        strength=columns.strength,
        swapped=np.asarray(columns.swapped, dtype=bool),
        seconds=columns.seconds,
        guideline=columns.guideline,
        task=columns.task,
        time=columns.time_s,
        length=np.column_stack((columns.first_length, columns.second_length)),
    )
    return votes.where(current)


def votes_from(
    comparison: Any,
    rater: Any,
    label: Any,
    *,
    comparisons: Sequence[str] | None = None,
    raters: Sequence[str] | None = None,
    guidelines: Sequence[str] = ("",),
    **columns: Any,
) -> Votes:
    """Columns that are there already, as of a large read; what is not given is unknown.

    Args:
        comparison: Numbers of comparisons, from 0.
        rater: Numbers of raters, from 0.
        label: Codes of verdicts, see `Votes.label`.
        comparisons: Their names; numbers stand for themselves when not given.
        raters: Their names.
        guidelines: Their names.
        columns: `strength`, `swapped`, `seconds`, `guideline`, `task`, `time` and `length`.

    Raises:
        DataError: columns differ in length, or point at names that are not there.
    """
    comparison, rater, label = (np.asarray(column) for column in (comparison, rater, label))
    rows = len(label)
    if comparisons is None:
        comparisons = [str(number) for number in range(int(comparison.max()) + 1 if rows else 0)]
    if raters is None:
        raters = [str(number) for number in range(int(rater.max()) + 1 if rows else 0)]
    absent: dict[str, Callable[[], np.ndarray]] = {
        "strength": lambda: np.zeros(rows, np.int8),
        "swapped": lambda: np.zeros(rows, np.bool_),
        "seconds": lambda: np.full(rows, np.nan),
        "guideline": lambda: np.zeros(rows, np.int32),
        "task": lambda: np.zeros(rows, np.int8),
        "time": lambda: np.full(rows, np.nan),
        "length": lambda: np.full((len(comparisons), 2), -1, np.int64),
    }
    given = {name: np.asarray(columns[name]) if name in columns else make() for name, make in absent.items()}
    return Votes(
        comparison=comparison,
        rater=rater,
        label=label,
        comparisons=comparisons,
        raters=raters,
        guidelines=guidelines,
        **given,
    )


def _coded(names: Iterable[str]) -> tuple[np.ndarray, list[str]]:
    """Each name as the place at which it was first met."""
    place: dict[str, int] = {}
    codes = [place.setdefault(name, len(place)) for name in names]
    return np.array(codes, dtype=np.int64), list(place)


def _column(values: Iterable[Any], kind: Any) -> np.ndarray:
    return np.array(list(values), dtype=kind)


def _seconds(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return float("nan")  # an imported file may stamp in its own way
