"""Figures with a 95 % interval, from units that are resampled whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from palate.core.ids import derive_seed

NARROW = 1e-9
"""A resampled interval that is no wider than rounding: resampling always gave the same."""
_Z = 1.959964
_BLOCK = 1 << 22
"""Weights drawn at once: 32 MB."""
_BUDGET = 20_000_000
"""Weights drawn for one interval. From 20,000 units on there are fewer resamples, down to 200."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its spread."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    n: int
    """Of what it was computed from."""
    units: int = 0
    """Of what was resampled whole, such as comparisons."""


def unknown() -> Estimate:
    """The figure of nothing."""
    return Estimate(math.nan, math.nan, math.nan, 0, 0)


def interval(
    statistic: Callable[[np.ndarray], np.ndarray], units: int, *, seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """Percentile bootstrap over units.

    Args:
        statistic: From weights, a row a resample and a column a unit, to a value for each row; a
            value that is not finite is left out.
        units: How many there are.
        seed: Of the draws.
        resamples: How many; fewer when there are very many units.

    Returns:
        Its ends; NaN when no value was finite.

    Source:
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    share = np.full(units, 1 / units)
    left = min(resamples, max(200, _BUDGET // units))
    draws = []
    while left > 0:
        block = min(left, max(1, _BLOCK // units))
        draws.append(statistic(rng.multinomial(units, share, size=block)))
        left -= block
    values = np.concatenate(draws)
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def ratio(parts: Sequence[float], wholes: Sequence[float], *, seed: int = 0, resamples: int = 1000) -> Estimate:
    """sum(parts) / sum(wholes) over units that are resampled together.

    Where resampling always gives the same (one unit, or all or none of the parts), the interval is
    Wilson's for as many trials as there are units: three of three is not certainty.

    Args:
        parts: For each unit, between 0 and its whole.
        wholes: For each unit, at least 0.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        `n` is the sum of the wholes; NaN when that is 0.
    """
    part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    # A unit of nothing tells nothing, and must not count as a trial either.
    part, whole = part[whole > 0], whole[whole > 0]
    units, total = len(whole), float(whole.sum())
    if units == 0:
        return unknown()

    def share(weights: np.ndarray) -> np.ndarray:
        return np.asarray((weights @ part) / (weights @ whole))

    value = float(part.sum() / total)
    low, high = interval(share, units, seed=seed, resamples=resamples)
    if not high - low > NARROW:
        low, high = wilson(value, units)
    return Estimate(value, low, high, int(total), units)


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share `p` of `n` trials; never of zero width, and always around `p`.

    Source:
        Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference";
        recommended for small n by Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial
        Proportion".
    """
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z * math.sqrt(max(p * (1 - p), 0.0) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
    return max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0)
