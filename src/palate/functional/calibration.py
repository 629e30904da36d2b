"""Whether stated probabilities come true: a temperature for margins, reliability, and its error.

Shapes: `N` preference rows, `K` bins, `U` units that are resampled whole, such as prompts.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import ConfigError, DataError
from palate.functional.rows import row_weights, weighted_mean

_STEPS = 200
_FLATTEST, _STEEPEST = 1e-4, 1e4
"""Bounds of 1 / T."""


class Reliability(NamedTuple):
    """What was stated and what came, by bins of equal count from the lowest stated probability on."""

    stated_K: Float[Tensor, " K"]
    """Mean stated probability."""
    observed_K: Float[Tensor, " K"]
    """Mean label."""
    counts_K: Int[Tensor, " K"]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap, weighted by count.

        Source: Guo et al. 2017, arXiv:1706.04599, eq. 3.
        """
        gaps_K = (self.stated_K - self.observed_K).abs()
        return float((gaps_K * self.counts_K).sum() / self.counts_K.sum())


def fit_temperature(
    margins_N: Float[Tensor, " N"],
    p_first_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
) -> float:
    """The temperature at which margins are the most honest log-odds.

        T = argmin mean -(p log σ(m / T) + (1 - p) log σ(-m / T))

    The loss is convex in 1 / T; its slope is found by bisection. Accuracy does not change. Fit it on rows that
    nothing was learned from, and measure on others.

    Args:
        margins_N: m, score of the first minus that of the second.
        p_first_N: Soft label in [0, 1].
        weights_N: At least 0; None weighs all rows alike.

    Returns:
        T, above 0. Above 1: the margins were too sure of themselves.

    Raises:
        DataError: No T is best: the margins are right on all rows, or right no more often than wrong.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 4.2 (temperature scaling), on the margin of Bradley-Terry.
    """
    weights_N = row_weights(margins_N, weights_N, p_first_N=p_first_N).double()
    margins_N, p_first_N = margins_N.detach().double(), p_first_N.detach().double()

    def slope(inverse: float) -> float:
        return float(weighted_mean((torch.sigmoid(inverse * margins_N) - p_first_N) * margins_N, weights_N))

    if not slope(_FLATTEST) < 0:
        raise DataError(
            "no temperature fits: margins are no better than chance here",
            expected="margins that point to the preferred side more often than not",
            hint="look at the held-out accuracy first",
        )
    if not slope(_STEEPEST) > 0:
        raise DataError(
            "no temperature fits: margins are right on every row",
            expected="at least one row that the margins get wrong",
            found=f"{len(margins_N)} rows",
            hint="give more held-out rows",
        )
    low, high = math.log(_FLATTEST), math.log(_STEEPEST)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(math.exp(middle)) < 0 else (low, middle)
        if high - low < 1e-14:
            break
    return math.exp(-0.5 * (low + high))


def confidence(
    margins_N: Float[Tensor, " N"], p_first_N: Float[Tensor, " N"], *, temperature: float = 1.0
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """`(stated, came)`: how sure the margin is of the side that it prefers, and how probable that side was.

    Seen from there, which side was written first does not matter.

    Args:
        margins_N: Score of the first minus that of the second.
        p_first_N: Soft label in [0, 1].
        temperature: T, see `fit_temperature`.
    """
    stated_N = torch.sigmoid(margins_N.abs() / temperature)
    return stated_N, torch.where(margins_N >= 0, p_first_N, 1 - p_first_N)


def reliability(stated_N: Float[Tensor, " N"], came_N: Float[Tensor, " N"], *, bins: int = 10) -> Reliability:
    """Stated probabilities against what came, in bins of equal count.

    Args:
        stated_N: Probabilities.
        came_N: Outcomes 0 or 1, or soft labels.
        bins: At least 1; of fewer rows than bins, each is a bin.

    Raises:
        ConfigError: There is no bin.
        DataError: There is no row, or the rows do not fit together.
    """
    if bins < 1:
        raise ConfigError("calibration needs bins", expected="at least 1", found=str(bins))
    row_weights(stated_N, None, came_N=came_N)
    if not len(stated_N):
        raise DataError("calibration needs rows", expected="at least 1", found="0")
    bin_N = _bins(stated_N, bins)
    counts_K = bin_N.bincount()
    stated_K, came_K = (bin_N.bincount(weights=x_N.double()) / counts_K for x_N in (stated_N, came_N))
    return Reliability(stated_K, came_K, counts_K)


def error_spread(
    stated_N: Float[Tensor, " N"],
    came_N: Float[Tensor, " N"],
    units_N: Sequence[Hashable] | None = None,
    *,
    bins: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> float:
    """Standard deviation of the calibration error over resamples of units, bins held where they are.

    The error itself is never below 0, so noise alone makes it positive: of 3,000 perfect coin tosses in ten bins
    it is about .02. Quantiles of resamples carry that noise twice; their spread does not.

    Args:
        stated_N: Probabilities.
        came_N: Outcomes 0 or 1, or soft labels.
        units_N: Rows of one unit, such as a prompt, are drawn together; None draws each row on its own.
        bins: As in `reliability`.
        resamples: How many.
        seed: Of the draws.

    Source:
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6.
    """
    bin_N = _bins(stated_N, bins)
    names = list(range(len(stated_N))) if units_N is None else list(units_N)
    place = {name: index for index, name in enumerate(dict.fromkeys(names))}
    unit_N = torch.tensor([place[name] for name in names])
    gaps_UK = torch.zeros(len(place), int(bin_N.max()) + 1, dtype=torch.float64)
    gaps_UK.index_put_((unit_N, bin_N), (stated_N - came_N).double(), accumulate=True)
    size_U = unit_N.bincount().double()
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(resamples):
        drawn_U = torch.randint(len(place), (len(place),), generator=generator).bincount(minlength=len(place)).double()
        errors.append((drawn_U @ gaps_UK).abs().sum() / (drawn_U @ size_U))
    return float(torch.stack(errors).std())


def _bins(stated_N: Tensor, bins: int) -> Tensor:
    """The bin of each row: the lowest stated probabilities are in bin 0, and bins differ in size by 1 at most."""
    order_N = stated_N.argsort(stable=True)
    bin_N = torch.empty_like(order_N)
    for number, part in enumerate(order_N.tensor_split(min(bins, len(order_N)))):
        bin_N[part] = number
    return bin_N
