"""What the next label is worth: accuracy against the number of labels, and where the curve goes from here.

    error(n) = floor + scale · n^(-power)

fitted to measured points by weighted least squares, with the floor held at what more labels cannot mend. The
interval comes from fits to points drawn anew with their own errors.

Source:
    Hestness et al. 2017, arXiv:1712.00409 (errors fall as a power of the data); Viering and Loog 2023, "The Shape
    of Learning Curves: a Review".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.preferences.resampling import Estimate

POWERS: Final = np.linspace(0.1, 1.0, 46)
"""Powers that are tried; outside, a curve of a few points is told by its noise."""
DRAWS: Final = 200
LEAST: Final = 4
"""Points that are needed for three unknowns."""


class Point(NamedTuple):
    """One measurement."""

    labels: int
    error: float
    """Such as 1 - accuracy on held-out pairs."""
    spread: float
    """Its standard error; above 0."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve, and the curves that the noise would have allowed."""

    floor: float
    scale: float
    power: float
    draws: np.ndarray
    """A row a draw: floor, scale, power."""
    labels: int
    """The most that were measured."""
    points: int

    def error(self, labels: float) -> Estimate:
        """The error expected with so many labels."""
        return self._estimate(lambda floor, scale, power: floor + scale * labels ** (-power))

    def gain(self, more: int) -> Estimate:
        """By how much so many more labels are expected to lower the error; never below 0."""
        now, then = float(self.labels), float(self.labels + more)
        return self._estimate(lambda floor, scale, power: scale * (now ** (-power) - then ** (-power)))

    def needed(self, error: float) -> float:
        """Labels for an error; infinite where the curve does not reach it."""
        if error <= self.floor or self.scale <= 0:
            return float("inf")
        return float((self.scale / (error - self.floor)) ** (1 / self.power))

    def _estimate(self, of: Callable[[Any, Any, Any], Any]) -> Estimate:
        value = float(of(self.floor, self.scale, self.power))
        spread = of(self.draws[:, 0], self.draws[:, 1], self.draws[:, 2])
        low, high = np.quantile(spread, [0.025, 0.975])
        return Estimate(value, min(float(low), value), max(float(high), value), self.points, self.points)


def fit_curve(points: Sequence[Point], *, seed: int = 0) -> Curve:
    """The curve through measured points.

    Args:
        points: At different numbers of labels.
        seed: Of the draws.

    Raises:
        DataError: there are too few points, or one cannot be used.
    """
    rows = sorted(points)
    if len({point.labels for point in rows}) < LEAST:
        raise DataError(
            "a learning curve needs more points",
            expected=f"at least {LEAST} different numbers of labels",
            found=str(len({point.labels for point in rows})),
        )
    for point in rows:
        if point.labels < 1 or not 0 <= point.error <= 1 or not point.spread > 0:
            raise DataError(
                "a point of a learning curve cannot be used",
                expected="labels from 1, an error in [0, 1], a spread above 0",
                found=str(tuple(point)),
            )
    labels, errors, spreads = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    rng = np.random.default_rng(derive_seed(seed, "learning curve"))
    best = _fit(labels, errors[None], spreads)[0]
    draws = _fit(labels, errors + spreads * rng.standard_normal((DRAWS, len(rows))), spreads)
    floor, scale, power = best.tolist()
    return Curve(floor, scale, power, draws, int(labels.max()), len(rows))


def sentence(curve: Curve, more: int, unit: str = "") -> str:
    """`40 more labels in refunds / de should lower the error by 1.0 points (0.4 to 1.9)`."""
    gain = curve.gain(more)
    where = f" in {unit}" if unit else ""
    told = f"{more:,} more labels{where} should lower the error by {100 * gain.value:.1f} points "
    told += f"({100 * gain.low:.1f} to {100 * gain.high:.1f}), by a curve through {curve.points} measurements."
    if gain.high < 0.002:
        told += " That is next to nothing: ask elsewhere."
    return told


def _fit(labels: np.ndarray, errors: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Floor, scale and power of each row of errors: for each power the other two are a straight line's.

    A line whose slope or floor would be negative is held at 0 there.
    """
    weights = 1 / spreads**2
    best = np.full(len(errors), np.inf)
    found = np.zeros((len(errors), 3))
    for power in POWERS:
        x = labels ** (-power)
        for floor, scale in _lines(x, errors, weights):
            loss = ((errors - floor[:, None] - scale[:, None] * x) ** 2 * weights).sum(axis=1)
            better = (loss < best - 1e-12) & (floor >= 0) & (scale >= 0)
            best = np.where(better, loss, best)
            found[better] = np.column_stack((floor, scale, np.full(len(errors), power)))[better]
    return found


def _lines(x: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    total = weights.sum()
    mean_x, mean_y = weights @ x / total, errors @ weights / total
    scale = (errors - mean_y[:, None]) @ (weights * (x - mean_x)) / (weights @ (x - mean_x) ** 2)
    nothing = np.zeros(len(errors))
    through = errors @ (weights * x) / (weights @ x**2)
    return [(mean_y - scale * mean_x, scale), (nothing, through), (mean_y, nothing)]
