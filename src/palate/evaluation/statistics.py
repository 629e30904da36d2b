"""Figures with their spread: win rates, means, proportions, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, its 95 % interval, and what it was computed from."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float], clusters: Sequence[object] | None = None, *, seed: int = 0) -> Figure:
    """Mean with a bootstrap interval; values of one cluster, such as a prompt, are resampled together."""
    if len(values) == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    keys = list(range(len(values))) if clusters is None else list(clusters)
    index = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    sums, sizes = np.zeros(len(index)), np.zeros(len(index))
    for key, value in zip(keys, values, strict=True):
        sums[index[key]] += value
        sizes[index[key]] += 1
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(index), np.full(len(index), 1 / len(index)), size=2000)
    draws = (weights @ sums) / (weights @ sizes)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(float(sums.sum() / sizes.sum()), float(low), float(high), len(values))


def win_rate(
    ours: Sequence[float], theirs: Sequence[float], clusters: Sequence[object] | None = None, *, seed: int = 0
) -> Figure:
    """How often ours is better; a tie counts half. Paired by position, bootstrapped over clusters."""
    wins = [float(a > b) + 0.5 * float(a == b) for a, b in zip(ours, theirs, strict=True)]
    return mean(wins, clusters, seed=seed)


def proportion(hits: int, n: int) -> Figure:
    """A share with Wilson's interval, which stays honest at 0 and 1.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if n == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    z = 1.959964
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Figure(p, max(centre - half, 0.0), min(centre + half, 1.0), n)


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
