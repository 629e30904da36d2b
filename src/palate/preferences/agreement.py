"""How well raters agree, with an interval.

Only judgements with a direction or a tie count; `skip` and `both_bad` say nothing about which
completion is better. A rater who judged a comparison more than once speaks once, see `voices`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from palate.core.errors import ConfigError
from palate.core.records import Judgement, Verdict
from palate.preferences.resampling import NARROW, Estimate, interval, ratio, unknown, wilson
from palate.preferences.voices import DIRECTED, by_comparison


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one comparison says about agreement."""

    same: float
    pairs: int


def _voices(judgements: Sequence[Judgement]) -> list[dict[str, Verdict]]:
    """For each comparison, what each of its raters says."""
    return [{j.rater: j.verdict for j in group} for group in by_comparison(judgements).values()]


def _same(one: Verdict, other: Verdict, tie_credit: float) -> float:
    if one is other:
        return 1.0
    return tie_credit if Verdict.TIE in (one, other) else 0.0


def agreement(
    judgements: Sequence[Judgement], *, tie_credit: float = 0.0, seed: int = 0, resamples: int = 1000
) -> Estimate:
    """Share of pairs of raters on one comparison who gave the same verdict.

    The interval is a bootstrap over comparisons, because verdicts on one comparison hang together.

    Args:
        judgements: All of them; those that do not count are left out here.
        tie_credit: What a tie against a side counts: 0 is disagreement, 0.5 is half an agreement.
            Two ties always agree.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        The share; `n` is the number of pairs of raters, `units` that of comparisons with a pair.
        NaN when nobody shared a comparison.

    Raises:
        ConfigError: `tie_credit` is not between 0 and 1.
    """
    if not 0 <= tie_credit <= 1:
        raise ConfigError("tie_credit is out of range", expected="0 to 1", found=str(tie_credit))
    units = []
    for voices in _voices(judgements):
        pairs = list(combinations(voices.values(), 2))
        if pairs:
            units.append(_Unit(sum(_same(a, b, tie_credit) for a, b in pairs), len(pairs)))
    return ratio([u.same for u in units], [u.pairs for u in units], seed=seed, resamples=resamples)


def krippendorff_alpha(judgements: Sequence[Judgement], *, seed: int = 0, resamples: int = 1000) -> Estimate:
    """Krippendorff's alpha for nominal verdicts: 1 is perfect, 0 is chance.

        alpha = 1 - D_observed / D_expected over comparisons with at least two raters.

    The interval is a bootstrap over comparisons. Where resampling always gives the same, as when
    everybody agrees, it takes D_expected as known and D_observed from Wilson's interval, for as many
    trials as there are comparisons, and ends at -1 at the latest.

    Returns:
        The value; `n` is the number of verdicts, `units` that of comparisons. NaN with `n` 0 when no
        comparison has two raters, and NaN with their number when only one verdict was ever given:
        nothing was expected to differ, so agreement tells nothing.

    Source:
        Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; for the bootstrap, Zapf et al.
        2016, "Measuring inter-rater reliability for nominal data"; Wilson 1927.
    """
    units = [list(voices.values()) for voices in _voices(judgements) if len(voices) > 1]
    if not units:
        return unknown()
    counts = np.array([[unit.count(verdict) for verdict in DIRECTED] for unit in units], dtype=float)
    sizes = counts.sum(axis=1)
    disagreeing = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)

    def differences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        totals = weights @ counts
        n = totals.sum(axis=1)
        return weights @ disagreeing / n, (n**2 - (totals**2).sum(axis=1)) / (n - 1) / n

    def alpha(weights: np.ndarray) -> np.ndarray:
        observed, expected = differences(weights)
        nothing = np.full(len(expected), np.nan)
        return np.asarray(1.0 - np.divide(observed, expected, out=nothing, where=expected > 0))

    observed, expected = (float(found[0]) for found in differences(np.ones((1, len(units)))))
    if expected == 0:
        return Estimate(math.nan, math.nan, math.nan, int(sizes.sum()), len(units))
    low, high = interval(alpha, len(units), seed=seed, resamples=resamples)
    if not high - low > NARROW:
        least, most = wilson(observed, len(units))
        low, high = max(1 - most / expected, -1.0), 1 - least / expected
    return Estimate(1 - observed / expected, low, high, int(sizes.sum()), len(units))


def agreement_by_rater(
    judgements: Sequence[Judgement], *, tie_credit: float = 0.0, seed: int = 0
) -> dict[str, Estimate]:
    """For each rater, how often the other raters of a comparison gave the same verdict.

    Returns:
        By rater, in order of their ids; `n` is the number of others that they were compared with.
        A rater who shared no comparison is not in it.
    """
    units: dict[str, list[_Unit]] = defaultdict(list)
    for voices in _voices(judgements):
        for rater, verdict in voices.items():
            others = [said for other, said in voices.items() if other != rater]
            if others:
                same = sum(_same(verdict, said, tie_credit) for said in others)
                units[rater].append(_Unit(same, len(others)))
    return {
        rater: ratio([u.same for u in units[rater]], [u.pairs for u in units[rater]], seed=seed, resamples=300)
        for rater in sorted(units)
    }
