"""How well raters agree, on columns: raw, and corrected for chance in the three ways that people ask for.

Raw agreement alone misleads: two raters who always say "first" agree fully and tell nothing. So each figure here
stands beside the others. All of them hear each rater once on each comparison, see `Votes.voices`; intervals are
analytic, over comparisons, because verdicts on one comparison hang together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np

from palate.core.errors import ConfigError
from palate.preferences.analytic import BLOCKS, Z, jackknife_error, pulled, share, spoken
from palate.preferences.resampling import NARROW, Estimate, unknown, wilson
from palate.preferences.votes import DIRECTED, FIRST, SECOND, TIE, Votes

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: Final = ("nominal", "ordinal", "interval")
_STEP: Final = 1e-4


def raw(votes: Votes, *, tie_credit: float = 0.0) -> Estimate:
    """Share of pairs of raters on one comparison who gave the same verdict.

    Args:
        votes: All of them.
        tie_credit: What a tie against a side counts: 0 is disagreement, 0.5 half an agreement.

    Raises:
        ConfigError: `tie_credit` is not between 0 and 1.
    """
    if not 0 <= tie_credit <= 1:
        raise ConfigError("tie_credit is out of range", expected="0 to 1", found=str(tie_credit))
    counts = _table(votes)
    sizes = counts.sum(axis=1)
    same = (counts * (counts - 1)).sum(axis=1) / 2
    half = counts[:, TIE] * (counts[:, FIRST] + counts[:, SECOND])
    return share(same + tie_credit * half, sizes * (sizes - 1) / 2)


def fleiss_kappa(votes: Votes) -> Estimate:
    """Fleiss' kappa: agreement above what verdicts drawn from all raters' common shares would reach.

        kappa = (P - P_e) / (1 - P_e),  P the mean over comparisons of the share of pairs that agree

    over comparisons with at least two raters; their number may differ. `n` counts verdicts.

    Source:
        Fleiss 1971, "Measuring Nominal Scale Agreement Among Many Raters"; for the interval, the influence of
        each comparison on both terms, as in Gwet 2021, "Large-Sample Variance of Fleiss Generalized Kappa".
    """
    counts = _table(votes)
    sizes = counts.sum(axis=1)
    if not len(counts):
        return unknown()
    n, units = int(sizes.sum()), len(counts)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (sizes * (sizes - 1))
    shares = counts.sum(axis=0) / n
    found, expected = float(agreeing.mean()), float((shares**2).sum())
    if expected >= 1:
        return Estimate(math.nan, math.nan, math.nan, n, units)
    pull = (agreeing - found) / units
    pull_expected = 2 * ((counts - sizes[:, None] * shares) @ shares) / n
    influences = pull / (1 - expected) - (1 - found) / (1 - expected) ** 2 * pull_expected
    return _with_ends((found - expected) / (1 - expected), influences, n, 1 - found, 1 - expected)


def krippendorff_alpha(votes: Votes, level: Level = "nominal") -> Estimate:
    """Krippendorff's alpha: 1 is perfect, 0 is chance.

    `nominal` looks at first, second and tie; `ordinal` and `interval` at the raters' scale from much better to
    much worse, see `Votes.scale`, where two steps apart is a greater difference than one.

        alpha = 1 - D_observed / D_expected

    Returns:
        `n` is the number of verdicts, `units` that of comparisons with two raters or more; NaN where all gave one
        and the same verdict, because agreement tells nothing then.

    Raises:
        ConfigError: there is no such level.

    Source:
        Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; the interval is from the influence of
        each comparison on the coincidences (delta method).
    """
    if level not in LEVELS:
        raise ConfigError("there is no such level of alpha", expected=", ".join(LEVELS), found=level)
    if level == "nominal":
        counts, values = _table(votes), np.arange(float(DIRECTED))
    else:
        voices = votes.voices()
        counts = _shared(voices.counts(voices.scale() + 3, 7))
        values = np.arange(7.0)
        used = counts.sum(axis=0) > 0
        counts, values = counts[:, used], values[used]
    return alpha_of_counts(counts, values, level)


def alpha_of_counts(counts: np.ndarray, values: np.ndarray, level: Level = "nominal") -> Estimate:
    """Alpha of a table: a row a unit, a column a value, a cell how many raters gave it.

    Args:
        counts: Rows of fewer than two raters do not count.
        values: What the columns stand for; in order, for `ordinal`.
        level: See `krippendorff_alpha`.
    """
    counts = _shared(np.asarray(counts)).astype(float)
    if not len(counts):
        return unknown()
    sizes = counts.sum(axis=1)
    weighted = counts / (sizes - 1)[:, None]
    coincidences = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    n = float(sizes.sum())

    def alpha(table: np.ndarray) -> float:
        observed, expected = _differences(table, values, level)
        return 1 - observed / expected

    observed, expected = _differences(coincidences, values, level)
    if not expected > 0:
        return Estimate(math.nan, math.nan, math.nan, int(n), len(counts))
    slope = _gradient(alpha, coincidences, n)
    # What one unit adds to the coincidences, against the slope of alpha along each of them.
    influences = ((weighted @ slope) * counts).sum(axis=1) - weighted @ np.diag(slope)
    influences = influences - influences.mean()
    return _with_ends(1 - observed / expected, influences, int(n), observed, expected)


def cohen_kappa(votes: Votes) -> Estimate:
    """Cohen's kappa, averaged over all pairs of raters by how many comparisons they share.

    A pair for which it is not defined, as both always say the same, is left out. `n` counts shared verdicts of
    the pairs that are in; the interval leaves out a block of comparisons at a time.

    Source:
        Cohen 1960, "A Coefficient of Agreement for Nominal Scales"; averaged, Light 1971.
    """
    pairs = _pairs(votes.voices())
    if not len(pairs.pair):
        return unknown()
    several = int(pairs.pair.max()) + 1
    cells = (pairs.one * DIRECTED + pairs.other) * several + pairs.pair
    size = several * DIRECTED**2
    tables = np.bincount(cells, minlength=size)
    seen, unit = np.unique(pairs.comparison, return_inverse=True)
    value, n = _mean_kappa(tables)
    if math.isnan(value):
        return Estimate(math.nan, math.nan, math.nan, len(cells), len(seen))
    # Neighbours in number may hang together in time: blocks are dealt out in turn.
    blocks = min(BLOCKS, len(seen))
    block = unit % blocks
    left = [_mean_kappa(tables - np.bincount(cells[block == k], minlength=size))[0] for k in range(blocks)]
    error = jackknife_error(np.array(left))
    low, high = (max(value - Z * error, -1.0), min(value + Z * error, 1.0)) if error > NARROW else (math.nan, math.nan)
    return Estimate(value, low, high, n, len(seen))


class Agreement(NamedTuple):
    """All figures of agreement of the same votes."""

    raw: Estimate
    raw_half_ties: Estimate
    cohen: Estimate
    fleiss: Estimate
    alpha: Estimate
    alpha_ordinal: Estimate


def agreement_of(votes: Votes) -> Agreement:
    """Raw agreement and what is left of it above chance; never one without the other."""
    return Agreement(
        raw(votes),
        raw(votes, tie_credit=0.5),
        cohen_kappa(votes),
        fleiss_kappa(votes),
        krippendorff_alpha(votes),
        krippendorff_alpha(votes, "ordinal"),
    )


def by_guideline(votes: Votes) -> dict[str, Agreement]:
    """The same for each version of the guideline, among judgements that were made under it."""
    used = np.unique(votes.guideline)
    return {votes.guidelines[code]: agreement_of(votes.where(votes.guideline == code)) for code in used.tolist()}


def by_group(votes: Votes, group: np.ndarray, names: list[str]) -> dict[str, Agreement]:
    """The same for each group of comparisons, such as a category or a language.

    Args:
        votes: All of them.
        group: Of each comparison, the number of its group.
        names: Of the groups.
    """
    row = group[votes.comparison]
    return {names[code]: agreement_of(votes.where(row == code)) for code in np.unique(row).tolist()}


def sentence(found: Agreement) -> str:
    """What a page says beside the figures."""
    if found.raw.n == 0:
        return "No comparison has two raters yet, so nothing is known about agreement."
    told = f"Two raters of one comparison agree {spoken(found.raw)} of the time."
    if math.isnan(found.alpha.value):
        return f"{told} Everyone gave the same verdict, so whether that is more than chance cannot be known."
    value = found.alpha.value
    if value < 0.2:
        means = "little more than chance: look at the guideline before collecting more"
    elif value < 0.4:
        means = "well above chance, as is usual for matters of taste"
    elif value < 0.67:
        means = "clearly above chance"
    else:
        means = "high"
    return f"{told} Krippendorff's alpha is {spoken(found.alpha, percent=False)}, which is {means}."


def _mean_kappa(cells: np.ndarray) -> tuple[float, int]:
    """`(kappa, verdicts)` over the tables of all pairs of raters, those without a kappa left out."""
    tables = cells.reshape(DIRECTED, DIRECTED, -1)
    shared = tables.sum(axis=(0, 1))
    n = np.maximum(shared, 1)
    same = np.trace(tables) / n
    chance = (tables.sum(axis=0) * tables.sum(axis=1)).sum(axis=0) / n.astype(float) ** 2
    known = (shared > 0) & (chance < 1 - 1e-12)
    if not known.any():
        return math.nan, 0
    kappa = (same[known] - chance[known]) / (1 - chance[known])
    return float(kappa @ n[known] / n[known].sum()), int(n[known].sum())


class _Pairs(NamedTuple):
    """Pairs of raters on one comparison, a row each."""

    pair: np.ndarray
    one: np.ndarray
    other: np.ndarray
    comparison: np.ndarray


def _pairs(voices: Votes) -> _Pairs:
    """Every two voices of a comparison, the rater with the lower number first."""
    order = np.lexsort((voices.rater, voices.comparison))
    comparison, rater, label = (
        column[order].astype(np.int64) for column in (voices.comparison, voices.rater, voices.label)
    )
    ones, others = [], []
    for gap in range(1, int(np.bincount(comparison).max()) if len(comparison) else 0):
        first = np.flatnonzero(comparison[gap:] == comparison[:-gap])
        ones.append(first)
        others.append(first + gap)
    one = np.concatenate(ones) if ones else np.zeros(0, np.int64)
    other = np.concatenate(others) if others else np.zeros(0, np.int64)
    _, pair = np.unique(rater[one] * len(voices.raters) + rater[other], return_inverse=True)
    return _Pairs(pair, label[one], label[other], comparison[one])


def _shared(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts[counts.sum(axis=1) > 1])


def _table(votes: Votes) -> np.ndarray:
    """Votes for first, second and tie of each comparison with at least two raters."""
    voices = votes.voices()
    return _shared(voices.counts(voices.label, DIRECTED))


def _differences(coincidences: np.ndarray, values: np.ndarray, level: Level) -> tuple[float, float]:
    """Observed and expected difference of two verdicts, in squared units of the level."""
    totals = coincidences.sum(axis=1)
    n = totals.sum()
    if level == "ordinal":
        upto = np.cumsum(totals) - totals / 2
        apart = (upto[:, None] - upto[None, :]) ** 2
    elif level == "interval":
        apart = (values[:, None] - values[None, :]) ** 2
    else:
        apart = 1.0 - np.eye(len(totals))
    return float((coincidences * apart).sum() / n), float(totals @ apart @ totals / (n * (n - 1)))


def _gradient(function: Callable[[np.ndarray], float], table: np.ndarray, n: float) -> np.ndarray:
    """Of a smooth function of a small table, by central differences."""
    slope = np.zeros_like(table)
    step = _STEP * n
    for cell in np.ndindex(table.shape):
        up, down = table.copy(), table.copy()
        up[cell] += step
        down[cell] -= step
        slope[cell] = (function(up) - function(down)) / (2 * step)
    return slope


def _with_ends(value: float, influences: np.ndarray, n: int, observed: float, expected: float) -> Estimate:
    """The usual interval; where no unit pulls, Wilson's for the observed difference, as many trials as units."""
    found = pulled(value, influences, n=n, least=-1.0, most=1.0)
    if found.high - found.low > NARROW or not 0 <= observed <= 1:
        return found
    least, most = wilson(observed, len(influences))
    return Estimate(value, max(1 - most / expected, -1.0), min(1 - least / expected, 1.0), n, len(influences))
