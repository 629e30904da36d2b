"""Figures with their spread: win rates, means, proportions, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Z: Final = 1.959964
"""Standard errors on each side of a 95 % interval."""
MANY: Final = 10_000
"""Clusters from which the mean of them is normal, and nothing has to be drawn."""
_IMAGINED: Final = 0.5
"""Clusters added to the spread of `share`, half of them 0 and half 1."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, its 95 % interval, and what it was computed from."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float], clusters: Sequence[object] | None = None, *, seed: int = 0) -> Figure:
    """Mean with a bootstrap interval; values of one cluster, such as a prompt, are resampled together.

    Of more than `MANY` clusters the interval is the normal one of a ratio of sums, which a bootstrap would only draw.
    """
    if len(values) == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    value_N = np.asarray(values, dtype=float)
    cluster_N = _numbered(len(values), clusters)
    sums, sizes = np.bincount(cluster_N, value_N), np.bincount(cluster_N).astype(float)
    value = float(sums.sum() / sizes.sum())
    if len(sums) > MANY:
        error = float(np.sqrt(((sums - value * sizes) ** 2).sum()) / sizes.sum())
        return Figure(value, value - Z * error, value + Z * error, len(values))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(8):  # parts of the same draws, so that they fit into memory
        weights = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=250)
        draws.append((weights @ sums) / (weights @ sizes))
    low, high = np.quantile(np.concatenate(draws), [0.025, 0.975])
    return Figure(value, float(low), float(high), len(values))


def _numbered(count: int, clusters: Sequence[object] | None) -> np.ndarray:
    """Clusters as numbers, in the order in which they come."""
    if clusters is None:
        return np.arange(count)
    keys = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    index = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    return np.array([index[key] for key in keys])


def share(
    values: Sequence[float],
    clusters: Sequence[object] | None = None,
    *,
    weights: Sequence[float] | None = None,
    around: Sequence[float] | None = None,
) -> Figure:
    """Mean of values between 0 and 1: wins of 1, ties of ½, soft verdicts. Values of one cluster hang together.

    The interval is Wilson's for as many coins as the clusters are worth. With p the mean of C clusters of weight w
    and mean y, half a cluster imagined, and p' its mean then,

        φ = (Σ w² (y - p')² + half a cluster's) / ((Σ w² + half a cluster's) p' (1 - p')),  coins = (Σ w)² / Σ w² / φ

    so 0 and 1 have an interval too, and values of 0 and 1, each its own cluster, have that of `proportion`. A
    bootstrap of percentiles covers too little near 0 and 1 (docs/evaluation.md has both, measured).

    Args:
        values: In [0, 1].
        clusters: What each is drawn with, such as its prompt; None: each alone.
        weights: Above 0; None weighs all alike.
        around: What each value scatters around; None: their mean.

    Source:
        Wilson 1927, with the effective sample size of Korn and Graubard 1998; among seven intervals for clustered
        shares Franco, Little, Louis and Slud 2019 recommend it. The imagined half cluster is ours: it keeps the
        spread of few clusters from being taken for smaller than it is.
    """
    if len(values) == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    value_N = np.asarray(values, dtype=float)
    weight_N = np.ones(len(value_N)) if weights is None else np.asarray(weights, dtype=float)
    keys = list(range(len(values))) if clusters is None else list(clusters)
    index = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    cluster_N = np.array([index[key] for key in keys])
    p = min(float(weight_N @ value_N / weight_N.sum()), 1.0)  # rounding
    weight_C = np.bincount(cluster_N, weight_N)
    squares, more = float(weight_C @ weight_C), _IMAGINED / len(index)
    level = (p + more / 2) / (1 + more)
    centre_N = level if around is None else np.asarray(around, dtype=float) + (level - p)
    pull_C = np.bincount(cluster_N, weight_N * (value_N - centre_N))
    spread = float(pull_C @ pull_C) + squares * more * (level**2 + (1 - level) ** 2) / 2
    phi = spread / (squares * (1 + more) * level * (1 - level))
    low, high = _wilson(p, float(weight_C.sum()) ** 2 / squares / phi)
    return Figure(p, low, high, len(values))


def win_rate(ours: Sequence[float], theirs: Sequence[float], clusters: Sequence[object] | None = None) -> Figure:
    """How often ours is better; a tie counts half. Paired by position; the interval is that of `share`."""
    wins = [float(a > b) + 0.5 * float(a == b) for a, b in zip(ours, theirs, strict=True)]
    return share(wins, clusters)


def proportion(hits: int, n: int) -> Figure:
    """A share with Wilson's interval, which stays honest at 0 and 1.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if n == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    return Figure(hits / n, *_wilson(hits / n, n), n)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Ends of Wilson's interval of a share of `n` coins."""
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(max(p * (1 - p), 0.0) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p)


def over_seeds(values: Sequence[float]) -> Figure:
    """Mean over independent runs with Student's 95 % interval; `n` is the number of runs."""
    n = len(values)
    if n < 2:
        return Figure(values[0] if values else math.nan, math.nan, math.nan, n)
    quantiles = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
    centre = float(np.mean(values))
    half = quantiles.get(n, 2.0) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Figure(centre, centre - half, centre + half, n)


def calibration_error(probabilities: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> float:
    """Expected calibration error: mean gap of stated and observed frequency, in equal-count bins.

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3, with bins of equal count.
    """
    import torch  # here, so that a page of figures needs none

    from palate.functional.calibration import reliability

    p, y = (torch.tensor(list(numbers), dtype=torch.float64) for numbers in (probabilities, outcomes))
    return reliability(p, y, bins=bins).error if len(p) else math.nan
