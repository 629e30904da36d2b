"""A model that judges, held against people who judged the same comparisons.

Comparisons come one by one and are kept as numbers, so that a million of them fit. In shapes, C is a comparison, G a
prompt, and V a verdict.

Source: position bias and agreement of model judges: Zheng et al. 2023, arXiv:2306.05685, 3.3 and 4.2; kappa: Cohen
1960; that length explains much of what judges prefer: Dubois et al. 2024, arXiv:2404.04475.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from palate.core.judges import TOGETHER
from palate.core.records import Verdict
from palate.evaluation.statistics import MANY, Figure, Z, mean

_VERDICTS: Final = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)
_DRAWS: Final = 1000
_STEP: Final = 1e-5
"""Of a table's whole, for the slope of kappa."""


class Seen(NamedTuple):
    """A comparison that a judge and people have judged."""

    prompt: str
    """Its id; comparisons of a prompt hang together."""
    category: str
    judge: Verdict
    """`FIRST`, `SECOND` or `TIE`."""
    shown_first: float | None
    """Mean over both orders of how probable the judge thought it that the side which was shown first is better; None
    where it was asked in one alone."""
    people: tuple[int, int, int]
    """How many said that the first is better, the second, and neither; one of them at least."""
    longer: int
    """Above 0 where the first answer is the longer one, below where the second is, 0 where neither."""
    principle: str = ""
    """By which the judge judged, if by one; several with `TOGETHER` between them."""


class Audit(NamedTuple):
    """How a judge compares with people. `n` of each figure counts comparisons."""

    agreement: Figure
    """Share of people who said the same as the judge, a comparison."""
    people: Figure
    """The same of one person and the others: what a judge that is one of them would reach. Of comparisons that two
    people or more have judged."""
    kappa: Figure
    """Agreement beyond what verdicts as frequent as theirs would have by chance: 0 is chance, 1 is perfect."""
    position: Figure
    """Mean probability of the side that was shown first, less ½; 0 without a bias. Of comparisons that were shown in
    both orders."""
    length: Figure
    """How often the judge took the longer side less how often people did, ties half; of comparisons of unequal
    length. 0 is no more fond of length than people are."""
    categories: Mapping[str, Figure]
    """Agreement by category."""
    principles: Mapping[str, Figure]
    """Agreement by the principle of the judge; those of none are left out, and one of several counts for each."""


class _Columns:
    """Comparisons as numbers."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        names: tuple[dict[str, int], ...] = ({}, {}, {})
        numbers = tuple(array("i") for _ in names)
        judge, longer, people, shown = array("b"), array("b"), array("i"), array("d")
        for one in seen:
            for known, column, name in zip(names, numbers, (one.prompt, one.category, one.principle), strict=True):
                column.append(known.setdefault(name, len(known)))
            judge.append(_VERDICTS.index(one.judge))
            longer.append((one.longer > 0) - (one.longer < 0))
            people.extend(one.people)
            shown.append(np.nan if one.shown_first is None else one.shown_first)
        self.prompt_C, self.category_C, self.principle_C = (np.asarray(column, dtype=np.int64) for column in numbers)
        self.categories, self.principles = list(names[1]), list(names[2])
        self.judge_C = np.asarray(judge, dtype=np.int64)
        self.longer_C = np.asarray(longer, dtype=np.int64)
        self.people_CV = np.asarray(people, dtype=float).reshape(-1, len(_VERDICTS))
        self.shown_C = np.asarray(shown, dtype=float)


def audit(seen: Iterable[Seen], *, seed: int = 0) -> Audit:
    """Hold a judge against people.

    Args:
        seen: Comparisons that both have judged; each with one person or more. Read once.
        seed: Of the bootstrap over prompts.
    """
    told = _Columns(seen)
    share_CV = told.people_CV / told.people_CV.sum(axis=1, keepdims=True)
    same_C = share_CV[np.arange(len(told.judge_C)), told.judge_C]
    voices_C = told.people_CV.sum(axis=1)
    pairs_C = np.maximum(voices_C * (voices_C - 1), 1)
    among_C = (told.people_CV * (told.people_CV - 1)).sum(axis=1) / pairs_C
    unequal_C = told.longer_C != 0

    def figure(value_C: Any, where_C: Any) -> Figure:
        return mean(value_C[where_C], told.prompt_C[where_C], seed=seed)

    principles: dict[str, list[int]] = {}
    for number, name in enumerate(told.principles):
        for part in filter(None, name.split(TOGETHER)):
            principles.setdefault(part, []).append(number)
    return Audit(
        agreement=figure(same_C, slice(None)),
        people=figure(among_C, voices_C > 1),
        kappa=_kappa(told, share_CV, seed),
        position=figure(told.shown_C - 0.5, ~np.isnan(told.shown_C)),
        length=figure(_fonder_C(told, share_CV), unequal_C),
        categories={
            name: figure(same_C, told.category_C == number)
            for name, number in sorted(zip(told.categories, range(len(told.categories)), strict=True))
        },
        principles={
            name: figure(same_C, np.isin(told.principle_C, numbers)) for name, numbers in sorted(principles.items())
        },
    )


def _fonder_C(told: _Columns, share_CV: Any) -> Any:
    """How much more the judge takes the longer side than people do; ties count half."""
    first_C = np.array([1.0, 0.0, 0.5])[told.judge_C]
    more_C = first_C - (share_CV[:, 0] + share_CV[:, 2] / 2)
    return more_C * told.longer_C


def _kappa(told: _Columns, share_CV: Any, seed: int) -> Figure:
    """Each comparison's people together weigh as much as its judge."""
    n = len(told.judge_C)
    if not n:
        return mean([])
    size = int(told.prompt_C.max()) + 1
    cell_C = told.prompt_C * len(_VERDICTS) + told.judge_C
    columns = [np.bincount(cell_C, share_CV[:, v], size * len(_VERDICTS)) for v in range(len(_VERDICTS))]
    table_GVV = np.stack(columns, axis=-1).reshape(size, len(_VERDICTS), len(_VERDICTS))
    whole_VV = table_GVV.sum(axis=0)
    if size > MANY:
        value, slope_VV = _of(whole_VV), _slope(whole_VV)
        error = float(np.sqrt((np.einsum("gij,ij->g", table_GVV, slope_VV) ** 2).sum()))
        return Figure(value, value - Z * error, value + Z * error, n)
    rng = np.random.default_rng(seed)
    draws = [_of(table_GVV[rng.integers(0, size, size)].sum(axis=0)) for _ in range(_DRAWS)]
    known = [draw for draw in draws if not np.isnan(draw)]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (np.nan, np.nan)
    return Figure(_of(whole_VV), float(low), float(high), n)


def _slope(table_VV: Any) -> Any:
    """Of kappa by each cell. Kappa is of degree 0 in the table, so the slope along the table itself is 0."""
    step = _STEP * table_VV.sum()
    slope_VV = np.zeros_like(table_VV)
    for cell in np.ndindex(table_VV.shape):
        moved_VV = np.zeros_like(table_VV)
        moved_VV[cell] = step
        slope_VV[cell] = (_of(table_VV + moved_VV) - _of(table_VV - moved_VV)) / (2 * step)
    return slope_VV


def _of(table_VV: Any) -> float:
    shares_VV = table_VV / table_VV.sum()
    by_chance = float(shares_VV.sum(axis=0) @ shares_VV.sum(axis=1))
    return float("nan") if by_chance == 1 else (float(np.trace(shares_VV)) - by_chance) / (1 - by_chance)


def votes(people: Sequence[Verdict]) -> tuple[int, int, int]:
    """How many said each, in the order that `Seen` has them."""
    first, second, tie = (sum(one is verdict for one in people) for verdict in _VERDICTS)
    return first, second, tie
