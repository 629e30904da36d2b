"""Means of values that hang together in two ways at once, such as by training seed and by prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from palate.evaluation.statistics import Figure

_DRAWS: Final = 2000


def crossed_mean(values: Sequence[float], ones: Sequence[object], others: Sequence[object], *, seed: int = 0) -> Figure:
    """Mean with an interval that resamples both kinds of clusters, independently of each other.

    A value counts as often as both of its clusters were drawn. The interval is wider than it must be rather than
    narrower, but where all values are alike it has no width.

    Args:
        values: What is averaged.
        ones: Cluster of each value in one way.
        others: … in the other.
        seed: Of the draws.

    Source: the pigeonhole bootstrap: Owen 2007, The Annals of Applied Statistics 1(2), section 3.
    """
    if not len(values) == len(ones) == len(others):
        raise ValueError(f"{len(values)} values, {len(ones)} and {len(others)} clusters")
    if not values:
        return Figure(math.nan, math.nan, math.nan, 0)
    places = [{key: place for place, key in enumerate(dict.fromkeys(keys))} for keys in (ones, others)]
    shape = (len(places[0]), len(places[1]))
    sums, sizes = np.zeros(shape), np.zeros(shape)
    for value, one, other in zip(values, ones, others, strict=True):
        sums[places[0][one], places[1][other]] += value
        sizes[places[0][one], places[1][other]] += 1
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(count, np.full(count, 1 / count), size=_DRAWS).astype(float) for count in shape]
    tops, wholes = (np.einsum("ri,ij,rj->r", drawn[0], table, drawn[1]) for table in (sums, sizes))
    held = wholes > 0
    low, high = np.quantile(tops[held] / wholes[held], [0.025, 0.975])
    return Figure(float(sums.sum() / sizes.sum()), float(low), float(high), len(values))


def apart(ours: Figure, theirs: Figure) -> Figure:
    """Difference of two shares by their own intervals, as if they had nothing in common; it has a width at 0 too.

    Source: the method of variance estimates recovery: Newcombe 1998, Statistics in Medicine 17, 873 (method 10).
    """
    gap = ours.value - theirs.value
    low = gap - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    high = gap + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Figure(gap, low, high, ours.n)
