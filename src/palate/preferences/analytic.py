"""Intervals without resampling, for very many units: the spread of a figure from what each unit pulls it by.

A unit is what hangs together, such as all judgements of one comparison. Where a bootstrap would do, these agree
with it to the width of its noise; a million judgements cost milliseconds.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from palate.preferences.resampling import Estimate, unknown, wilson

Z: Final = 1.959964
BLOCKS: Final = 50
"""Of a grouped jackknife."""


def share(parts: np.ndarray, wholes: np.ndarray) -> Estimate:
    """sum(parts) / sum(wholes), where a unit's parts hang together.

    The variance is that of the linearised ratio; the interval is Wilson's for as many independent trials as would
    have that variance, so that it stays within 0 and 1. Where all or none are parts, a unit is one trial.

    Args:
        parts: For each unit, between 0 and its whole.
        wholes: For each unit, at least 0.

    Source:
        Cochran 1977, "Sampling Techniques", section 6.3 (ratio); Korn and Graubard 1998, "Confidence Intervals
        for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data".
    """
    part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    part, whole = part[whole > 0], whole[whole > 0]
    units, total = len(whole), float(whole.sum())
    if units == 0:
        return unknown()
    value = float(part.sum() / total)
    variance = float(((part - value * whole) ** 2).sum()) / total**2 * units / max(units - 1, 1)
    trials = float(units) if variance < 1e-18 else value * (1 - value) / variance
    low, high = wilson(value, max(min(trials, total), 1.0))
    return Estimate(value, low, high, round(total), units)


def mean(values: np.ndarray) -> Estimate:
    """A mean of units that stand for themselves, with a normal interval; no width below two units is claimed."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return unknown()
    value = float(values.mean())
    if len(values) == 1:
        return Estimate(value, math.nan, math.nan, 1, 1)
    half = Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value, value - half, value + half, len(values), len(values))


def pulled(value: float, influences: np.ndarray, *, n: int, least: float, most: float) -> Estimate:
    """A figure with the spread of its influences: what leaving a unit out would change it by, to first order.

    Args:
        value: The figure.
        influences: Of each unit; they sum to about 0.
        n: Of what the figure was computed from.
        least: The figure cannot be below.
        most: Nor above.

    Source:
        Hampel 1974, "The Influence Curve and Its Role in Robust Estimation".
    """
    units = len(influences)
    half = Z * math.sqrt(float((influences**2).sum()) * units / max(units - 1, 1))
    return Estimate(value, max(value - half, least), min(value + half, most), n, units)


def jackknife_error(left: np.ndarray) -> float:
    """Standard error from a figure's values with one block of units left out at a time; NaN for fewer than two.

    Source:
        Kott 2001, "The Delete-a-Group Jackknife".
    """
    left = left[np.isfinite(left)]
    if len(left) < 2:
        return math.nan
    return math.sqrt((len(left) - 1) / len(left) * float(((left - left.mean()) ** 2).sum()))


def spoken(estimate: Estimate, *, percent: bool = True) -> str:
    """`72.4 % (70.1 to 74.6 %, n = 1,240)`, or that it is not known."""
    if estimate.n == 0 or math.isnan(estimate.value):
        return f"not known (n = {estimate.n:,})"
    if percent:
        body, ends = f"{estimate.value:.1%}", f"{100 * estimate.low:.1f} to {estimate.high:.1%}"
    else:
        body, ends = f"{estimate.value:.2f}", f"{estimate.low:.2f} to {estimate.high:.2f}"
    if math.isnan(estimate.low):
        ends = "too few for an interval"
    return f"{body} ({ends}, n = {estimate.n:,})"


def shares_by(group: np.ndarray, parts: np.ndarray, wholes: np.ndarray, groups: int) -> list[Estimate]:
    """`share` of each of many groups, such as raters, at once.

    Args:
        group: Of each unit, the number of its group.
        parts: Of each unit.
        wholes: Of each unit.
        groups: How many there are.
    """
    counts = wholes > 0
    group, part, whole = group[counts], np.asarray(parts, float)[counts], np.asarray(wholes, float)[counts]
    units = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=whole, minlength=groups)
    value = np.divide(np.bincount(group, weights=part, minlength=groups), total, out=np.zeros(groups), where=total > 0)
    squares = np.bincount(group, weights=(part - value[group] * whole) ** 2, minlength=groups)
    result = []
    for n, m, p, square in zip(units.tolist(), total.tolist(), value.tolist(), squares.tolist(), strict=True):
        if n == 0:
            result.append(unknown())
            continue
        variance = square / m**2 * n / max(n - 1, 1)
        trials = float(n) if variance < 1e-18 else p * (1 - p) / variance
        result.append(Estimate(p, *wilson(p, max(min(trials, m), 1.0)), round(m), n))
    return result
