"""How well raters agree, with an interval.

Only judgements with a direction or a tie count; `skip` and `both_bad` say nothing about which
completion is better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from palate.core.records import Judgement, Verdict

DIRECTED = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)


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


def by_comparison(judgements: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Judgements that count, grouped by comparison."""
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if judgement.verdict in DIRECTED:
            groups[judgement.comparison].append(judgement)
    return dict(groups)


def agreement(judgements: Sequence[Judgement], *, seed: int = 0, resamples: int = 1000) -> Estimate:
    """Share of pairs of raters on one comparison who gave the same verdict.

    The interval is a bootstrap over comparisons, because verdicts on one comparison hang together.

    Returns:
        The share; `n` is the number of pairs of raters. NaN when nobody shared a comparison.
    """
    same, pairs = [], []
    for group in by_comparison(judgements).values():
        verdicts = [(a.verdict, b.verdict) for a, b in combinations(group, 2) if a.rater != b.rater]
        if verdicts:
            same.append(sum(a == b for a, b in verdicts))
            pairs.append(len(verdicts))
    return ratio(np.array(same, dtype=float), np.array(pairs, dtype=float), seed=seed, resamples=resamples)


def ratio(parts: np.ndarray, wholes: np.ndarray, *, seed: int, resamples: int = 1000) -> Estimate:
    """sum(parts) / sum(wholes) over units that are resampled together."""
    if len(parts) == 0 or wholes.sum() == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(parts), np.full(len(parts), 1 / len(parts)), size=resamples)
    totals = weights @ wholes
    draws = (weights @ parts)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(parts.sum() / wholes.sum()), float(low), float(high), int(wholes.sum()))


def krippendorff_alpha(judgements: Sequence[Judgement]) -> float:
    """Krippendorff's alpha for nominal verdicts: 1 is perfect, 0 is chance.

    alpha = 1 - D_observed / D_expected over comparisons with at least two raters.

    Returns:
        NaN when no comparison has two raters, 1 when only one verdict was ever given.

    Source:
        Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    units = [[j.verdict for j in group] for group in by_comparison(judgements).values() if len(group) > 1]
    if not units:
        return float("nan")
    totals: dict[Verdict, int] = defaultdict(int)
    observed = 0.0
    for unit in units:
        counts = {verdict: unit.count(verdict) for verdict in DIRECTED}
        disagreeing = len(unit) ** 2 - sum(count**2 for count in counts.values())
        observed += disagreeing / (len(unit) - 1)
        for verdict, count in counts.items():
            totals[verdict] += count
    n = sum(totals.values())
    expected = (n**2 - sum(count**2 for count in totals.values())) / (n - 1)
    return 1.0 if expected == 0 else 1.0 - observed / expected


def agreement_by_rater(judgements: Sequence[Judgement], *, seed: int = 0) -> dict[str, Estimate]:
    """For each rater, how often the other raters of a comparison gave the same verdict."""
    same: dict[str, list[float]] = defaultdict(list)
    pairs: dict[str, list[float]] = defaultdict(list)
    for group in by_comparison(judgements).values():
        for judgement in group:
            others = [other for other in group if other.rater != judgement.rater]
            if others:
                same[judgement.rater].append(sum(other.verdict == judgement.verdict for other in others))
                pairs[judgement.rater].append(len(others))
    return {
        rater: ratio(np.array(same[rater]), np.array(pairs[rater]), seed=seed, resamples=300) for rater in sorted(same)
    }
