"""Does what the policy moves towards still pay? Fresh labels on its own answers against its own movement.

Along any path of policies, d E[gold] / dt = Cov(gold, d log π / dt): the truth peaks exactly where what people prefer
is no longer correlated with where the policy goes, however high the reward climbs. Labels on pairs of answers to one
prompt are enough to see that coming. All labels so far, newer ones with more weight, teach a logistic preference on
features of the answers; its correlation with the movement of the policy, and with the reward, among answers of the
policy as it is now, are the two figures of a look.

Shapes: `N` answers of a look, `D` features, `P` pairs of them.

Source: the covariance identity is the derivative of a mean under a path of distributions (score function, Williams
1992); that over-optimisation is a loss of correlation under the policy itself: Laidlaw et al. 2024, arXiv:2403.03185.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import DataError

DECAY: Final = 0.85
"""Weight of a look's labels against those of the next look: what is preferred near the policy counts most."""
PRICE: Final = 3.0
"""Of a unit of squared weight, on features of deviation 1 at the first look."""
EARLIEST: Final = 2
"""Looks before this one have too few labels for an alarm, …"""
FIRST: Final = 3
"""… and looks before this one raise it only if the reward is plainly wrong: …"""
PLAINLY_FALSE: Final = 0.4
"""… its correlation with what is preferred is below this."""
STILL_PAYS: Final = 0.3
"""An alarm wants the correlation of preference and movement below this …"""
STILL_TRUE: Final = 0.6
"""… and that of preference and reward below this: a run that is saturated, with a reward that is right, is no hack."""
TREND: Final = 2
"""Looks over which a fall is measured …"""
AHEAD: Final = 1.5
"""… and how many looks ahead it is followed, …"""
WILL_PAY: Final = -0.1
"""… where a correlation below this raises the alarm too …"""
NEARLY_TRUE: Final = 0.8
"""… unless the reward is right all the same."""
PAST: Final = -0.1
"""A correlation with the movement below this, after one below 0, says that the peak is past."""
LONG_STEP: Final = 0.75
"""Deviation of what the policy moved by, in nats, from which a step is long."""
SMOOTH: Final = 3
"""Looks over which correlations are averaged before they are summed up, …"""
STEADY: Final = 10.0
"""… and the price of a unit of squared weight then: many looks together want a steadier belief than one."""
_STEPS: Final = 12
_STILL: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Answers of the policy at one moment, and what was said about pairs of them."""

    features_ND: np.ndarray
    """Whatever describes an answer: its length, habits, a model's hidden state. The same columns at every look."""
    rewards_N: np.ndarray
    """The reward model's scores."""
    moved_N: np.ndarray
    """log π now less log π some steps ago, in nats."""
    departed_N: np.ndarray
    """log π now less log π of the reference, in nats."""
    prompts_N: np.ndarray
    """Which prompt each answer is to; only answers to one prompt are compared."""
    first_P: np.ndarray
    """Positions of the answers that were shown first, of labelled pairs."""
    second_P: np.ndarray
    labels_P: np.ndarray
    """1 where the first was preferred, 0 where the second, .5 for a tie."""

    def __post_init__(self) -> None:
        rows = {len(x) for x in (self.features_ND, self.rewards_N, self.moved_N, self.departed_N, self.prompts_N)}
        pairs = {len(x) for x in (self.first_P, self.second_P, self.labels_P)}
        if len(rows) != 1 or len(pairs) != 1 or not np.isfinite(self.features_ND).all():
            raise DataError(
                "a look at a policy does not fit together",
                expected="one finite row of everything an answer, and two answers and a label a pair",
                found=f"rows {sorted(rows)}, pairs {sorted(pairs)}",
            )
        if (self.prompts_N[self.first_P] != self.prompts_N[self.second_P]).any():
            raise DataError("a look compares answers to different prompts")

    @property
    def distance(self) -> float:
        """√KL(π ‖ π_ref), estimated on the answers, in √nats."""
        return float(np.sqrt(max(self.departed_N.mean(), 0.0)))


class Belief(NamedTuple):
    """What labels say is preferred: logits that are linear in standardised features."""

    weights_D: np.ndarray
    covariance_DD: np.ndarray
    """Of the weights, by Laplace's approximation."""
    mean_D: np.ndarray
    deviation_D: np.ndarray

    def standard(self, features_ND: np.ndarray) -> np.ndarray:
        """Features in the coordinates of the weights."""
        return np.asarray((features_ND - self.mean_D) / self.deviation_D)

    def worth(self, features_ND: np.ndarray) -> np.ndarray:
        """What answers are worth, in logits of being preferred."""
        return np.asarray(self.standard(features_ND) @ self.weights_D)


class Slope(NamedTuple):
    """What a look says of the way the run goes."""

    pays: float
    """Correlation, among answers to one prompt, of what people prefer with where the policy moves; 0 at the peak."""
    true: float
    """The same with the reward: how far it can be believed where the policy is now."""
    labels: int
    """That it rests on, all looks so far."""


def believe(looks: Sequence[Look], *, decay: float = DECAY, price: float = PRICE, at: int | None = None) -> Belief:
    """Learn what is preferred from the labels of all looks, one of them with weight 1.

    Args:
        looks: The first one's features set the scale.
        decay: Weight of a look's labels against those of a look nearer to `at`.
        price: Of a unit of squared weight.
        at: The look whose labels count most; the last when there is none.

    Raises:
        DataError: there is no label.
    """
    at = len(looks) - 1 if at is None else at
    mean_D = looks[0].features_ND.mean(axis=0)
    deviation_D = np.maximum(looks[0].features_ND.std(axis=0), 1e-3)
    parts, labels, weights = [], [], []
    for number, look in enumerate(looks):
        standard_ND = (look.features_ND - mean_D) / deviation_D
        parts.append(standard_ND[look.first_P] - standard_ND[look.second_P])
        labels.append(look.labels_P)
        weights.append(np.full(len(look.labels_P), decay ** abs(number - at)))
    x, y, w = np.concatenate(parts), np.concatenate(labels), np.concatenate(weights)
    if not len(y):
        raise DataError("there is no fresh label to judge a run by", hint="label some of its pairs, or name a judge")
    found_D, curvature_DD = _fit(x, y, w, price)
    return Belief(found_D, np.linalg.inv(curvature_DD), mean_D, deviation_D)


def slope(looks: Sequence[Look]) -> Slope:
    """What the newest of some looks says, with the labels of all."""
    look = looks[-1]
    worth_N = believe(looks).worth(look.features_ND)
    return Slope(
        pays=correlation(worth_N, look.moved_N, look.prompts_N),
        true=correlation(worth_N, look.rewards_N, look.prompts_N),
        labels=sum(len(one.labels_P) for one in looks),
    )


def slopes(looks: Sequence[Look]) -> list[Slope]:
    """Look by look, each with the labels that there were by then; the first has not moved and says nothing."""
    none = Slope(float("nan"), float("nan"), len(looks[0].labels_P))
    return [none, *(slope(looks[: upto + 1]) for upto in range(1, len(looks)))]


def margin(found: Sequence[Slope]) -> float:
    """How far the newest look is from an alarm, as a correlation; below 0 it says that the reward is gamed.

    Movement pays little and the reward is no longer true; or what movement pays falls so fast that it soon costs.
    """
    if len(found) <= EARLIEST:
        return math.inf
    now = found[-1]
    if len(found) <= FIRST:
        return now.pays - STILL_PAYS if now.true < PLAINLY_FALSE else math.inf
    fall = (now.pays - found[-1 - TREND].pays) / TREND
    here = now.pays - STILL_PAYS if now.true < STILL_TRUE else math.inf
    soon = now.pays + AHEAD * fall - WILL_PAY if now.true < NEARLY_TRUE else math.inf
    return min(here, soon)


def alarmed(found: Sequence[Slope]) -> bool:
    """Whether the newest look says that the reward is gamed."""
    return margin(found) < 0


def alarm(found: Sequence[Slope]) -> int | None:
    """The first look that raises the alarm."""
    return next((at for at in range(EARLIEST, len(found)) if alarmed(found[: at + 1])), None)


def past_peak(found: Sequence[Slope]) -> int | None:
    """The first look at which the peak is surely past; a run may stop here."""
    for at in range(FIRST, len(found)):
        if found[at].pays < PAST and found[at - 1].pays < 0:
            return at
    return None


def kept(looks: Sequence[Look]) -> int:
    """The look whose checkpoint is to be kept: the last before movement stopped paying, summed up over the looks.

    What a stretch of the way gained goes by its correlation, so the sum of correlations peaks where gold does. In
    hindsight labels from after a look tell as much of it as those from before. Correlations at the end of a long step
    say little of the step, so where steps are long, answers of all looks are weighed against each other instead.
    """
    steps = [float(within(look.moved_N, look.prompts_N).std()) for look in looks[1:]]
    if steps and np.median(steps) > LONG_STEP:
        belief = believe(looks, decay=1.0)
        return int(np.argmax([belief.worth(look.features_ND).mean() for look in looks]))
    gains = [0.0]
    for at, look in enumerate(looks[1:], 1):
        worth_N = believe(looks, at=at, price=STEADY).worth(look.features_ND)
        gains.append(correlation(worth_N, look.moved_N, look.prompts_N))
    smooth = np.convolve(np.pad(gains, SMOOTH // 2, mode="edge"), np.ones(SMOOTH) / SMOOTH, "valid")
    return int(smooth.cumsum().argmax())


def correlation(one_N: np.ndarray, other_N: np.ndarray, prompts_N: np.ndarray) -> float:
    """Correlation among answers to the same prompt; 0 where one of them does not vary."""
    one_N, other_N = (within(x, prompts_N) for x in (one_N, other_N))
    scale = np.sqrt((one_N**2).mean() * (other_N**2).mean())
    return float((one_N * other_N).mean() / scale) if scale > 1e-12 else 0.0


def within(values_N: np.ndarray, prompts_N: np.ndarray) -> np.ndarray:
    """Values less their mean over the same prompt's answers."""
    _, groups_N = np.unique(prompts_N, return_inverse=True)
    sums = np.bincount(groups_N, weights=values_N)
    return np.asarray(values_N - (sums / np.bincount(groups_N))[groups_N])


def _fit(x_PD: np.ndarray, y_P: np.ndarray, w_P: np.ndarray, price: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted logistic regression with a price, by Newton's method; the weights and the curvature there."""
    weights_D, prior_DD = np.zeros(x_PD.shape[1]), price * np.eye(x_PD.shape[1])
    for _ in range(_STEPS):
        p_P = 1 / (1 + np.exp(-np.clip(x_PD @ weights_D, -30, 30)))
        curvature_DD = (x_PD * (w_P * p_P * (1 - p_P))[:, None]).T @ x_PD + prior_DD
        step_D = np.linalg.solve(curvature_DD, x_PD.T @ (w_P * (y_P - p_P)) - price * weights_D)
        weights_D = weights_D + step_D
        if np.abs(step_D).max() < _STILL:
            break
    return weights_D, curvature_DD
