"""Why raters disagree: noise, which a rater has against themself too, or divergence, which is real.

Two raters who each draw their verdict from a distribution of their own differ with probability

    1 - Σ p q  =  (1 - Σ p² + 1 - Σ q²) / 2  +  Σ (p - q)² / 2
                     noise                        divergence

so how often a rater differs from themself, when asked again, is the noise in how often two raters differ, and
what is left is difference of opinion. In the same way, what two raters of different groups differ more than two of
one group is what stands between the groups. Noise can be averaged away; divergence should be kept, and looked at.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from palate.preferences.analytic import Z, share, spoken
from palate.preferences.raters import repeats
from palate.preferences.resampling import Estimate, unknown
from palate.preferences.votes import DIRECTED, Votes


class Disagreement(NamedTuple):
    """Shares of pairs of verdicts that differ."""

    between: Estimate
    """Two raters of one comparison."""
    noise: Estimate
    """A rater against themself, on marked repeats."""
    divergence: Estimate
    """`between - noise`: opinion."""
    share_real: Estimate
    """Divergence as a share of `between`."""
    within_groups: Estimate
    """Two raters of one group."""
    across_groups: Estimate
    """Two raters of different groups."""
    groups: Estimate
    """`across - within`: what stands between groups."""


class Split(NamedTuple):
    """A comparison that divides the raters."""

    comparison: str
    first: int
    second: int
    tie: int


def disagreement(votes: Votes, group: np.ndarray | None = None) -> Disagreement:
    """Noise and divergence; what cannot be known has n = 0.

    Args:
        votes: All of them, marked repeats among them.
        group: Of each rater, the number of their group, or -1 when they told none.
    """
    voices = votes.voices()
    counts = voices.counts(voices.label, DIRECTED)
    between = share(*_differing(counts))
    rater, comparison, same = repeats(votes)
    size = len(votes.comparisons)
    asked = np.bincount(comparison, minlength=size)
    noise = share(np.bincount(comparison, weights=~same, minlength=size), asked) if len(rater) else unknown()
    real = minus(between, noise)
    within = across = unknown()
    if group is not None:
        within, across = _by_group(voices, group)
    return Disagreement(between, noise, real, _part(between, noise, real), within, across, minus(across, within))


def most_split(votes: Votes, count: int, least: int = 2) -> list[Split]:
    """The comparisons that divide raters most evenly, those with the most verdicts first.

    Args:
        votes: All of them.
        count: How many.
        least: Verdicts for a side that are needed.
    """
    voices = votes.voices()
    counts = voices.counts(voices.label, DIRECTED)
    first, second = counts[:, 0], counts[:, 1]
    sides = first + second
    margin = np.abs(first - second) / np.maximum(sides, 1)
    found = np.flatnonzero((sides >= least) & (np.minimum(first, second) > 0))
    order = found[np.lexsort((found, -sides[found], margin[found]))][:count]
    return [Split(votes.comparisons[c], *counts[c].tolist()) for c in order.tolist()]


def minus(one: Estimate, other: Estimate) -> Estimate:
    """A difference of two figures of different data; `n` is the smaller."""
    if not one.n or not other.n:
        return unknown()
    value = one.value - other.value
    # Each end by its own half: the intervals of shares are not even.
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, low, high, min(one.n, other.n), min(one.units, other.units))


def sentence(found: Disagreement) -> str:
    """What a page says."""
    if not found.between.n:
        return "No comparison has two raters yet."
    told = f"Two raters differ on {spoken(found.between)} of comparisons."
    if not found.noise.n:
        return f"{told} Whether that is noise is not known: nobody was asked the same comparison again."
    told += f" Asked again, a rater differs from themself on {spoken(found.noise)}."
    if found.divergence.low > 0:
        told += f" So some {found.share_real.value:.0%} of disagreement is opinion: keep it, and look at the groups."
    else:
        told += " So the disagreement may be noise alone: more raters on each comparison average it away."
    if found.groups.n and found.groups.low > 0:
        told += f" Raters of different groups differ {found.groups.value:.1%} more often than raters of one group."
    return told


def _differing(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(pairs that differ, pairs)` of each row."""
    sizes = counts.sum(axis=-1)
    pairs = sizes * (sizes - 1) / 2
    return pairs - (counts * (counts - 1)).sum(axis=-1) / 2, pairs


def _by_group(voices: Votes, group: np.ndarray) -> tuple[Estimate, Estimate]:
    told = voices.where(group[voices.rater] >= 0)
    groups = int(group.max(initial=-1)) + 1
    if not groups or not len(told):
        return unknown(), unknown()
    cells = told.counts(group[told.rater] * DIRECTED + told.label, groups * DIRECTED).reshape(-1, groups, DIRECTED)
    differing, pairs = (found.sum(axis=1) for found in _differing(cells))
    all_differing, all_pairs = _differing(cells.sum(axis=1))
    return share(differing, pairs), share(all_differing - differing, all_pairs - pairs)


def _part(between: Estimate, noise: Estimate, real: Estimate) -> Estimate:
    """Divergence over all disagreement, by the delta method; a share cannot leave 0 to 1."""
    if not real.n or between.value <= 0:
        return unknown()
    value = 1 - noise.value / between.value
    errors = [(found.high - found.low) / (2 * Z) for found in (noise, between)]
    half = Z * math.hypot(errors[0] / between.value, noise.value * errors[1] / between.value**2)
    low, high = max(value - half, 0.0), min(value + half, 1.0)
    return Estimate(min(max(value, 0.0), 1.0), low, max(high, low), real.n, real.units)
