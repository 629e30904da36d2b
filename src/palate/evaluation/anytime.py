r"""A difference of two arms that may be looked at after every person: confidence sequences, a plan, and the split.

The unit is the person, for what one person does hangs together. Each counts once, with one outcome in [0, 1], in an
order that their outcome does not change. With y the outcome, z 1 under the treatment, p its share of people, and m
what the people before tell of the mean,

    x = (y - m) (z - p) / (p (1 - p)),        E[x | those before] = E[y | treatment] - E[y | control] = δ

since z was drawn by chance, whatever m is and however the mean drifts. Where every person has judged both arms, x is
the share of their pairs that the treatment won, a tie half, less ½. Bets on x being above or below a δ are fair if
that δ is true, so their capital

    K⁺(δ) = Π (1 + λ (x - δ)),        λ = min(c d / σ², 0.9 / (δ - lowest possible x))

reaches 2 / α with a chance of at most α / 2, over all time (Ville); K⁻ likewise. The sequence holds every δ that
neither has refused. d is the planned difference and σ² the variance of x among the people before. c is 1 or less,
fixed by the plan, so that the bet grows fastest where the plan is right: less where single people could lose it much,
such as where nearly all outcomes are near 1. The sequence does not become much narrower than d on both sides together,
and a test ends before that could matter. Mixtures of bets were tried and want a tenth more people.

Shapes: `N` people in their order, with any axes before it, such as one of simulations.

Source: Waudby-Smith and Ramdas 2023, arXiv:2010.09686, theorem 3 (capital process); the inverse-propensity
difference is Howard, Ramdas, McAuliffe and Sekhon 2021, arXiv:1810.08240, section 4.2; the split is Lindon and Malek
2020, arXiv:2011.03567, eq. 7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed

IMAGINED: Final = 10
"""People in each arm imagined to have had the planned mean, before it is that of the people who came."""
TRUSTED: Final = 200
"""People imagined to have varied as planned: a variance needs more of them than a mean."""
FALSE_ALARM: Final = 0.001
"""Chance, over all time, of an alarm about a split that is right."""
NEAR: Final = 100.0
"""How near to the planned split another is sought: a prior worth so many people (a deviation of .05 of a half)."""
_MOST_LOST: Final = 0.9
"""Of the capital, in one bet."""
_PATHS, _TOGETHER, _STEPS, _DRAWN = 2000, 100, 1000, 20_000
_WHOLE: Final = 2000
"""People of a fixed-size test up to which tests are simulated whole, when a size is computed."""
_RANGES: Final = 4.0
_GRID: Final = 100
"""Values on each side that an interval's end is one of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is expected and wanted of a test, fixed before it begins."""

    difference: float
    """The smallest one that is worth finding, in the outcome's own unit."""
    baseline: float = 0.5
    """Mean outcome under the control."""
    spread: float = 0.5
    """Standard deviation of one person's outcome; at most √(b (1 - b)), which is that of yes and no."""
    share: float = 0.5
    """Of people who get the treatment."""
    level: float = 0.05
    """Chance of an error of the first kind, over all looks together."""
    power: float = 0.8
    """Chance that a true difference of this size is found by the planned number of people."""
    paired: bool = False
    """Every person judges both arms: the outcome is the share of pairs that the treatment won."""

    def __post_init__(self) -> None:
        most = math.sqrt(max(self.baseline * (1 - self.baseline), 0.0))
        for name, good, expected in (
            ("baseline", 0 < self.baseline < 1, "a share between 0 and 1"),
            ("difference", 0 < self.difference < 1 - self.baseline, "above 0, and less than the baseline leaves room"),
            ("spread", 0 < self.spread <= most + 1e-9, f"above 0, at most {most:.3g} around this baseline"),
            ("share", 0.01 <= self.share <= 0.99, "from .01 to .99"),
            ("baseline", not self.paired or self.baseline == 0.5, ".5, where both arms are judged by everyone"),
            ("level", 0 < self.level <= 0.5, "above 0, at most .5"),
            ("power", 0.05 <= self.power <= 0.99, "from .05 to .99"),
        ):
            if not good:
                raise ConfigError(
                    "a test cannot be planned like this", where=name, expected=expected, found=str(getattr(self, name))
                )

    @property
    def variance(self) -> float:
        """Of one person's x, as planned."""
        return self.spread**2 / (1 if self.paired else self.share * (1 - self.share))

    @property
    def widest(self) -> float:
        """No difference is larger."""
        return 0.5 if self.paired else 1.0


class Told(NamedTuple):
    """What each person says of the difference."""

    x_N: np.ndarray
    """Its mean, given those before, is the difference."""
    below_N: np.ndarray
    """x is at least minus this, which is known before the person comes …"""
    above_N: np.ndarray
    """… and at most this."""


class Capital(NamedTuple):
    """Logarithms of what bets against one difference have made of 1."""

    up_N: np.ndarray
    """Bets that the truth is larger."""
    down_N: np.ndarray
    """Bets that it is smaller."""


class Interval(NamedTuple):
    """A confidence sequence: all of it holds the truth at once, with a chance of at least 1 - level."""

    value_N: np.ndarray
    """Mean of x so far."""
    low_N: np.ndarray
    high_N: np.ndarray


class Size(NamedTuple):
    """How many people a test needs."""

    people: int
    """In both arms, so that it finds the planned difference with the planned power, looked at after each."""
    median: int
    """Half of all tests of a true difference of this size end by here."""
    fixed: int
    """What a test needs that is looked at once, at its end."""


def told(outcome_N: np.ndarray, treated_N: np.ndarray, design: Design) -> Told:
    """What each person says of the difference of two arms.

    Args:
        outcome_N: In [0, 1].
        treated_N: Whether they had the treatment.
        design: With the share that was assigned, and the baseline that is imagined at first.
    """
    y_N, z_N, p = np.asarray(outcome_N, dtype=float), np.asarray(treated_N, dtype=float), design.share
    if design.paired:
        half_N = np.full(y_N.shape, 0.5)
        return Told(y_N - 0.5, half_N, half_N)

    def before(who_N: np.ndarray) -> np.ndarray:
        sums, counts = np.cumsum(who_N * y_N, axis=-1) - who_N * y_N, np.cumsum(who_N, axis=-1) - who_N
        return np.asarray((sums + IMAGINED * design.baseline) / (counts + IMAGINED))

    mean_N = (1 - p) * before(z_N) + p * before(1 - z_N)
    x_N = (y_N - mean_N) * (z_N - p) / (p * (1 - p))
    below_N = np.maximum(mean_N / p, (1 - mean_N) / (1 - p))
    above_N = np.maximum((1 - mean_N) / p, mean_N / (1 - p))
    return Told(x_N, below_N, above_N)


def capital(said: Told, design: Design, at: float = 0.0) -> Capital:
    """What bets against a difference of `at` have made of 1, after each person."""
    return _capital(said, _rates(said.x_N, design), at)


def refused(made: Capital, design: Design) -> np.ndarray:
    """Whether the difference is outside of the sequence, after each person; once outside it stays so."""
    best_N = np.maximum(made.up_N, made.down_N)
    return np.asarray(np.maximum.accumulate(best_N, axis=-1) >= math.log(2 / design.level))


def interval(said: Told, design: Design, at: tuple[float, ...] = (0.0,)) -> Interval:
    """The confidence sequence of one test, `N` its only axis.

    Its ends are taken from a grid around the last mean, outwards: it is never too narrow, and too wide by a few
    per cent of its width. Differences in `at` are on the grid, so that they are outside exactly when `refused` says so.
    """
    x_N, n = said.x_N, len(said.x_N)
    ends = np.full(n, design.widest)
    if not n:
        return Interval(x_N, -ends, ends)
    value_N = np.cumsum(x_N) / np.arange(1, n + 1)
    rate_N, centre = _rates(x_N, design), float(value_N[-1])
    variance = _boldness(design) * design.difference / float(rate_N[-1])
    nearest = max(math.sqrt(2 * math.log(2 / design.level) * variance / n) / _GRID, 1e-9)
    offset_G = np.geomspace(nearest, 2 * design.widest, _GRID)
    low_N, high_N = -ends, ends
    for sign in (-1, 1):
        inside = [d for d in (*(centre + sign * offset_G), *at) if abs(d) < 0.999 * design.widest]
        for difference in inside:
            made = _capital(said, rate_N, difference)
            gone_N = np.maximum.accumulate(made.up_N if sign < 0 else made.down_N) >= math.log(2 / design.level)
            if sign < 0:
                low_N = np.where(gone_N, np.maximum(low_N, difference), low_N)
            else:
                high_N = np.where(gone_N, np.minimum(high_N, difference), high_N)
    return Interval(value_N, low_N, high_N)


def size(design: Design, *, seed: int = 0) -> Size:
    """People that a test needs, from simulated tests in which the planned difference is true.

    Tests of up to some thousand people are simulated whole, with outcomes as in `outcomes`. In larger ones, what the
    bet gains from a person is drawn, and added up as a normal walk with its mean and variance.

    Raises:
        ConfigError: not even four times the people of a fixed-size test would do.
    """
    normal = NormalDist()
    wanted = normal.inv_cdf(1 - design.level / 2) + normal.inv_cdf(design.power)
    fixed = max(math.ceil(wanted**2 * design.variance / design.difference**2), 2)
    rng = np.random.default_rng(derive_seed(seed, "size"))
    step = max(1, math.ceil(_RANGES * fixed / _STEPS)) if fixed > _WHOLE else 1
    found = _walked(design, rng, step) if fixed > _WHOLE else _lived(design, rng, math.ceil(_RANGES * fixed))
    if found[-1] < design.power:
        raise ConfigError(
            "no number of people finds this", expected="a difference that is not small against the outcome's range",
            found=f"{design.difference:g} with a deviation of {design.spread:g}",
        )  # fmt: skip
    people, median = (step * (int(np.argmax(found >= share)) + 1) for share in (design.power, min(0.5, design.power)))
    return Size(people, median, fixed)


def _lived(design: Design, rng: np.random.Generator, people: int) -> np.ndarray:
    """Share of simulated tests of a true difference that have found it, after each person."""
    found = np.zeros(people)
    for _ in range(_PATHS // _TOGETHER):
        treated_N = rng.random((_TOGETHER, people)) < design.share
        mean_N = design.baseline + design.difference * (treated_N | design.paired)
        said = told(outcomes(rng, mean_N, design.spread), treated_N, design)
        found += refused(capital(said, design), design).mean(axis=0)
    return found / (_PATHS // _TOGETHER)


def _walked(design: Design, rng: np.random.Generator, step: int) -> np.ndarray:
    """The same after every `step` people, from a normal walk."""
    x_N, far = _planned(design, rng)
    gains = _gained(x_N, min(_boldness(design) * design.difference / design.variance, _MOST_LOST / far))
    walk = rng.normal(gains.mean() * step, gains.std() * math.sqrt(step), (_PATHS, _STEPS))
    over = np.maximum.accumulate(np.cumsum(walk, axis=1), axis=1) >= math.log(2 / design.level)
    return np.asarray(over.mean(axis=0))


def mismatch(treated_N: np.ndarray, share: float) -> np.ndarray:
    """Logarithm of the evidence, after each person, that people are not split as planned.

    It reaches log(1 / `FALSE_ALARM`) by chance with that chance at most, over all time.

    Args:
        treated_N: Whether they got the treatment, in the order in which they came.
        share: Planned.
    """
    z_N = np.asarray(treated_N, dtype=float)
    before_N = np.cumsum(z_N, axis=-1) - z_N
    guess_N = (NEAR * share + before_N) / (NEAR + np.arange(z_N.shape[-1]))
    ratio_N = np.where(z_N > 0, guess_N / share, (1 - guess_N) / (1 - share))
    return np.asarray(np.maximum.accumulate(np.cumsum(np.log(ratio_N), axis=-1), axis=-1))


def _rates(x_N: np.ndarray, design: Design) -> np.ndarray:
    """The bet before each person: c d / σ²."""
    count_N = np.arange(x_N.shape[-1])
    sums_N, squares_N = np.cumsum(x_N, axis=-1) - x_N, np.cumsum(x_N**2, axis=-1) - x_N**2
    around_N = np.maximum(squares_N - sums_N**2 / np.maximum(count_N, 1), 0.0)
    best = _boldness(design) * design.difference
    return np.asarray(best * (TRUSTED + count_N) / (TRUSTED * design.variance + around_N))


def _capital(said: Told, rate_N: np.ndarray, at: float) -> Capital:
    away_N = said.x_N - at
    gain_N = np.log1p(np.minimum(rate_N, _MOST_LOST / (said.below_N + at)) * away_N)
    loss_N = np.log1p(-np.minimum(rate_N, _MOST_LOST / (said.above_N - at)) * away_N)
    return Capital(np.cumsum(gain_N, axis=-1), np.cumsum(loss_N, axis=-1))


def _gained(x_N: np.ndarray, rate: float) -> np.ndarray:
    return np.asarray(np.log1p(np.maximum(rate * x_N, -_MOST_LOST)))


@cache
def _boldness(design: Design) -> float:
    """The share of d / σ² that grows fastest where the plan is right: 1, but where few people could lose much."""
    x_N, far = _planned(design, np.random.default_rng(derive_seed(0, "boldness")))
    shares = np.linspace(0.1, 1.0, 19)
    rates = np.minimum(shares * design.difference / design.variance, _MOST_LOST / far)
    return float(shares[int(np.argmax([_gained(x_N, rate).mean() for rate in rates]))])


def _planned(design: Design, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """What people say of whom the plan is true, and how far below 0 it can be."""
    b, d, p = design.baseline, design.difference, design.share
    arms = np.array([b + d, b + d] if design.paired else [b, b + d])
    treated = rng.random(_DRAWN) < p
    y, centre = outcomes(rng, arms[treated.astype(int)], design.spread), 0.5 if design.paired else b + d * p
    x = y - 0.5 if design.paired else (y - centre) * (treated - p) / (p * (1 - p))
    around = np.minimum(design.spread**2, arms * (1 - arms)) + (arms - centre) ** 2
    square = around[0] if design.paired else around[0] / (1 - p) + around[1] / p
    # Exact in mean and variance, so that few draws will do: what is gained is small against its deviation.
    x = (x - x.mean()) * math.sqrt(square - d**2) / x.std() + (arms[0] - 0.5 if design.paired else d)
    return x, 0.5 if design.paired else max(centre / p, (1 - centre) / (1 - p))


def outcomes(rng: np.random.Generator, mean_N: np.ndarray, spread: float) -> np.ndarray:
    """Simulated outcomes in [0, 1] with these means, and this deviation as far as the means allow it.

    They are Beta, or yes and no where that is all that the deviation allows.
    """
    worth_N = mean_N * (1 - mean_N) / spread**2 - 1
    sure_N = worth_N < 0.01
    worth_N = np.where(sure_N, 1.0, worth_N)
    drawn_N = rng.beta(mean_N * worth_N, (1 - mean_N) * worth_N)
    return np.asarray(np.where(sure_N, rng.random(mean_N.shape) < mean_N, drawn_N), dtype=float)
