"""What help does for raters, measured: judgements with it beside judgements without, dealt by chance.

Whether a rater sees the help of a comparison is a coin (`palate.store.assistance`), so the difference between the two
is the help's, whoever took part. The coin's share may have changed on the way; each judgement counts by one over the
probability of its arm. Intervals are a bootstrap over comparisons, which takes all of a comparison together.

Source: inverse probability weights: Horvitz and Thompson 1952, in the ratio form of Hájek 1971.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from palate.core.records import Verdict
from palate.evaluation.statistics import Figure

_DRAWS: Final = 2000


class Other(NamedTuple):
    """What somebody said without help."""

    verdict: Verdict
    weight: float
    """One over the probability that they had none; 1 where no coin was tossed."""


class Judged(NamedTuple):
    """A judgement of a comparison for which a coin was tossed."""

    comparison: str
    verdict: Verdict
    """`FIRST`, `SECOND` or `TIE`."""
    helped: bool
    share: float
    """Of raters who are helped, when the coin was tossed; between 0 and 1, both excluded."""
    seconds: float | None = None
    expected: Verdict | None = None
    """What is known to be right, of a check item."""
    others: tuple[Other, ...] = ()
    """What others said of it without help. Each is held against each, and not against the most of them: where a coin
    falls on no help there is one fewer, and fewer are not right as often."""


class Compared(NamedTuple):
    """A figure with help and without, and the difference; `n` counts judgements, or pairs of them."""

    helped: Figure
    alone: Figure
    difference: Figure


class Value(NamedTuple):
    """One value of one arm."""

    comparison: str
    helped: bool
    value: float
    weight: float


def report(judged: Sequence[Judged], *, seed: int = 0) -> Mapping[str, Compared]:
    """Four figures with help and without; one of which nothing is known has n = 0.

    Args:
        judged: Judgements of people.
        seed: Of the bootstrap.
    """
    checks = [_of(one, float(one.verdict is one.expected)) for one in judged if one.expected is not None]
    alike = [
        Value(one.comparison, one.helped, float(one.verdict is other.verdict), _weight(one) * other.weight)
        for one in judged
        for other in one.others
    ]
    seconds = [_of(one, one.seconds) for one in judged if one.seconds is not None]
    found = {
        "right on checks": checks,
        "as one unhelped": alike,
        "two agree": _pairs(judged),
        "seconds": seconds,
    }
    return {name: compare(values, seed=seed) for name, values in found.items()}


def compare(values: Sequence[Value], *, seed: int = 0) -> Compared:
    """Weighted means of both arms and their difference, with 95 % bootstrap intervals over comparisons."""
    index = {name: place for place, name in enumerate(dict.fromkeys(one.comparison for one in values))}
    sums_AC, sizes_AC = np.zeros((2, len(index))), np.zeros((2, len(index)))
    counts = [0, 0]
    for one in values:
        arm = int(one.helped)
        sums_AC[arm, index[one.comparison]] += one.weight * one.value
        sizes_AC[arm, index[one.comparison]] += one.weight
        counts[arm] += 1
    if not min(counts):
        nothing = [
            _figure(_ratio(sums_AC[arm].sum(), sizes_AC[arm].sum()), np.array([]), counts[arm]) for arm in (0, 1)
        ]
        return Compared(nothing[1], nothing[0], _figure(float("nan"), np.array([]), 0))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(index), np.full(len(index), 1 / len(index)), size=_DRAWS)
    means = [_ratio(drawn @ sums_AC[arm], drawn @ sizes_AC[arm]) for arm in (0, 1)]
    value = [_ratio(sums_AC[arm].sum(), sizes_AC[arm].sum()) for arm in (0, 1)]
    return Compared(
        _figure(value[1], means[1], counts[1]),
        _figure(value[0], means[0], counts[0]),
        _figure(value[1] - value[0], means[1] - means[0], sum(counts)),
    )


def _of(one: Judged, value: float) -> Value:
    return Value(one.comparison, one.helped, value, _weight(one))


def _weight(one: Judged) -> float:
    return 1 / (one.share if one.helped else 1 - one.share)


def _pairs(judged: Sequence[Judged]) -> list[Value]:
    """Of each comparison, whether two raters who were both helped, or both not, say the same."""
    arms: dict[tuple[str, bool], list[Judged]] = defaultdict(list)
    for one in judged:
        arms[one.comparison, one.helped].append(one)
    return [
        Value(comparison, helped, float(one.verdict is other.verdict), _weight(one) * _weight(other))
        for (comparison, helped), some in arms.items()
        for one, other in combinations(some, 2)
    ]


def _ratio(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """NaN where there is nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums, dtype=float) / np.where(np.asarray(sizes) > 0, sizes, np.nan)


def _figure(value: float | np.ndarray, draws: np.ndarray, n: int) -> Figure:
    told = draws[~np.isnan(draws)]
    low, high = np.quantile(told, [0.025, 0.975]) if len(told) else (np.nan, np.nan)
    return Figure(float(value), float(low), float(high), n)
