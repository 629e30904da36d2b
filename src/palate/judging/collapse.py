"""Is a model that learns from a judge still learning what people want? Asked at every round, answered with evidence.

People look at a random share of the pairs that the judge decided. The judge is held to what its own margins promised,
as they were worth before: of pairs that it finds alike it may err often, of pairs that it is sure of it may not. So a
policy whose answers grow alike raises no alarm, and a judge that grows fond of something does. Against "people agree
with the judge at least as often as promised" the detector bets that its margins are worth only a share of what they
were, from a round on that nobody knows:

    m_n = worth · slope · |margin n|,  q = σ(m_n at worth 1), less the slack,  p = σ(m_n at worth w) below q
    W   = Π (p / q where the person agrees, (1 - p) / (1 - q) where not, the mean of both for a tie)

averaged over `WORTHS` w and over the rounds from which the bet may run. While people do agree as promised, W is a
nonnegative supermartingale that begins at 1, so it ever reaches 1 / α with a chance of at most α, however often one
looks (Ville's inequality). The slope is the lower end of what the audits before the first round say, for half of α.

Signs that cost no person (length, duplicates, the judge as it was at first) can say `watch`, and no more: they tell
that something changed, and not whether people mind.

Shapes: `N` audited pairs of a round, `W` bets.

Source: betting against a mean: Waudby-Smith and Ramdas 2024, arXiv:2010.09686, section 4; a change at an unknown time
by a mixture over its beginning: Shin, Ramdas and Rinaldo 2022, arXiv:2203.03532; Ville 1939.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import ConfigError, DataError
from palate.preferences.filtering import fit_logistic

WORTHS: Final = (-0.25, 0.0, 0.25, 0.5, 0.75)
"""What the bets say that a margin is worth, of what it was."""
_SURE: Final = 0.98
"""No judge is believed to be surer: a margin that is too large promises too much."""
_Z: Final = {0.1: 1.645, 0.05: 1.960, 0.02: 2.326, 0.01: 2.576}
"""Deviations that leave half of α below."""
_PRICE: Final = 1e-3


class State(StrEnum):
    """What the detector says."""

    OK = "ok"
    WATCH = "watch"
    """Something is not as it was; people should look at more pairs."""
    COLLAPSE = "collapse"
    """People do not agree with the judge as they did. What is learned from here on is not what they want."""


class Audited(NamedTuple):
    """A pair that a judge and a person have decided."""

    p_first: float
    """The judge's probability that the first is better."""
    said: float
    """1 where the person took the first, 0 where the second, ½ for a tie."""


class Signs(NamedTuple):
    """What can be seen of a round without a person; None where nobody knows."""

    margin: float | None = None
    """Mean distance of the judge's probabilities from ½."""
    length: float | None = None
    """Mean length of the policy's answers, in any unit."""
    entropy: float | None = None
    """Mean surprise of the policy at its own answers, in nats a token."""
    duplicates: float | None = None
    """Share of answers that are the same as another one to the same prompt."""
    kl_nats: float | None = None
    """From the first policy, an answer."""
    orders_agree: float | None = None
    """Share of pairs of which the judge says the same in both orders."""
    first_judge_doubts: float | None = None
    """Probability that the judge gives the side it takes, less what the judge of the first round gives that side; mean
    over pairs."""


class Seen(NamedTuple):
    """A round."""

    audited: Sequence[Audited] = ()
    signs: Signs = Signs()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """When the detector speaks."""

    false_alarm: float = 0.05
    """α: chance that it ever says `collapse` of a run in which people agree as promised; .1, .05, .02 or .01."""
    watch: float = 0.5
    """The same for `watch`, of which nothing but a look follows."""
    slack: float = 0.1
    """Share of what the judge promises beyond a coin that may be missed without a word."""
    horizon: int = 20
    """Rounds from each of which a bet may run; a later change is seen by the bet of the last of them."""
    doubts: float = 0.15
    """`watch` where the judge claims so much more for the sides it takes than that of the first round would …"""
    orders: float = 0.15
    """… or the judge agrees with itself on so many fewer than at first …"""
    longer: float = 1.5
    """… or answers are so many times as long as at first, or as short …"""
    flatter: float = 0.5
    """… or their surprise is below this share of what it was …"""
    alike: float = 0.2
    """… or so many more of them are duplicates …"""
    surer: float = 2.0
    """… or the judge's margin is so many times what it was …"""
    kl_nats: float = 20.0
    """… or the policy is so far from the first."""

    def __post_init__(self) -> None:
        if self.false_alarm not in _Z or not self.false_alarm <= self.watch < 1:
            raise ConfigError(
                "these chances of a false alarm cannot be used",
                expected=f"one of {', '.join(map(str, _Z))}, and for `watch` no smaller one, below 1",
                found=f"{self.false_alarm} and {self.watch}",
            )
        if not 0 <= self.slack < 1 or self.horizon < 1:
            raise ConfigError(
                "the detector cannot work with this", expected="a slack in [0, 1) and a horizon of 1 or more",
                found=f"{self.slack} and {self.horizon}",
            )  # fmt: skip


class Finding(NamedTuple):
    """What is to be said of a round."""

    round: int
    """From 1 on."""
    state: State
    why: tuple[str, ...]
    """In words, with figures; empty while all is well."""
    wealth: float
    """W, of all rounds up to this one: 1 / α speaks."""
    audits: int
    """Of this round."""
    agreement: float
    """Of the person with the judge in this round's audits; NaN without any."""
    promised: float
    """What the judge's margins promised of the same pairs, slack taken off."""


def findings(before: Sequence[Audited], rounds: Sequence[Seen], config: DetectorConfig | None = None) -> list[Finding]:
    """What the detector says, round by round, each from what was known by then.

    Args:
        before: Audits of the judge when it was believed; they must be no pairs that it was trained on.
        rounds: The rounds so far.
        config: When it speaks.

    Raises:
        DataError: there are audits of rounds, and none before.
    """
    config = config or DetectorConfig()
    if any(one.audited for one in rounds) and not before:
        raise DataError(
            "there is nothing to hold the judge against",
            expected="audits of the judge from before, or of the first round",
            found="none",
        )
    slope = _slope(before, config) if before else 0.0
    found: list[Finding] = []
    logs_RW: list[np.ndarray] = []
    for number, one in enumerate(rounds, 1):
        judged = _Judged.of(one.audited, slope, config)
        logs_RW.append(judged.bets_W)
        wealth = _wealth(logs_RW, config)
        said = _signs(rounds[0].signs, one.signs, config)
        if wealth >= 1 / config.watch:
            said = (_words(judged, wealth), *said)
        loud = wealth >= 2 / config.false_alarm  # half of α went into the slope
        state = State.COLLAPSE if loud else State.WATCH if said else State.OK
        found.append(Finding(number, state, said, wealth, len(one.audited), judged.agreement, judged.promised))
    return found


def first(found: Sequence[Finding], state: State = State.COLLAPSE) -> int | None:
    """The first round of which that was said, or worse."""
    loud = (State.COLLAPSE,) if state is State.COLLAPSE else (State.WATCH, State.COLLAPSE)
    return next((one.round for one in found if one.state in loud), None)


class _Judged(NamedTuple):
    bets_W: np.ndarray
    """Logarithm of what each bet multiplied its money by."""
    agreement: float
    promised: float

    @classmethod
    def of(cls, audited: Sequence[Audited], slope: float, config: DetectorConfig) -> _Judged:
        if not audited:
            return cls(np.zeros(len(WORTHS)), float("nan"), float("nan"))
        margin_N, agrees_N = _margins(audited)
        promised_N = 0.5 + (1 - config.slack) * (_sigmoid(slope * margin_N) - 0.5)
        bets_NW = _sigmoid(slope * margin_N[:, None] * np.array(WORTHS))
        bets_NW = np.minimum(bets_NW, promised_N[:, None])  # a bet that people agree more than promised is none
        right_NW, wrong_NW = bets_NW / promised_N[:, None], (1 - bets_NW) / (1 - promised_N[:, None])
        factors_NW = agrees_N[:, None] * right_NW + (1 - agrees_N[:, None]) * wrong_NW
        return cls(np.log(factors_NW).sum(axis=0), float(agrees_N.mean()), float(promised_N.mean()))


def _margins(audited: Sequence[Audited]) -> tuple[np.ndarray, np.ndarray]:
    """How sure the judge was of its side, in nats, and whether the person took that side too."""
    p_N = np.clip([one.p_first for one in audited], 1 - _SURE, _SURE)
    said_N = np.array([one.said for one in audited], dtype=float)
    if not np.isfinite(p_N).all() or not ((said_N >= 0) & (said_N <= 1)).all():
        raise DataError("an audit is no probability", expected="numbers from 0 to 1", found=str(audited)[:80])
    logits_N = np.log(p_N / (1 - p_N))
    return np.abs(logits_N), np.where(logits_N >= 0, said_N, 1 - said_N)


def _slope(before: Sequence[Audited], config: DetectorConfig) -> float:
    """What a nat of the judge's margin was worth before, at the least: the lower end for half of α."""
    margin_N, agrees_N = _margins(before)
    slope = float(fit_logistic(margin_N[:, None], agrees_N, _PRICE)[0])
    p_N = _sigmoid(slope * margin_N)
    information = float((margin_N**2 * p_N * (1 - p_N)).sum()) + _PRICE
    return max(slope - _Z[config.false_alarm] / math.sqrt(information), 0.0)


def _wealth(logs_RW: Sequence[np.ndarray], config: DetectorConfig) -> float:
    """All money: bets that run from one of the rounds so far, and what waits for a later one."""
    rows_RW = np.stack(logs_RW)
    since_RW = rows_RW[::-1].cumsum(axis=0)[::-1][: config.horizon]
    return float(np.exp(np.minimum(since_RW, 700)).mean(axis=1).sum() + config.horizon - len(since_RW)) / config.horizon


def _words(judged: _Judged, wealth: float) -> str:
    return (
        f"people agree with the judge on {judged.agreement:.0%} of this round's audits, where its margins promised "
        f"{judged.promised:.0%}; all audits together speak {wealth:.3g} : 1 against the judge"
    )


def _signs(begin: Signs, now: Signs, config: DetectorConfig) -> tuple[str, ...]:
    """What of the free signs is not as it was."""
    said = []
    if now.first_judge_doubts is not None and now.first_judge_doubts > config.doubts:
        said.append(f"the judge of the first round gives the sides it takes {now.first_judge_doubts:.0%} less")
    for what, was, is_, low, high in (
        ("the judge agrees with itself across orders", begin.orders_agree, now.orders_agree, -config.orders, None),
        ("duplicates", begin.duplicates, now.duplicates, None, config.alike),
    ):
        if (
            was is not None
            and is_ is not None
            and ((low is not None and is_ < was + low) or (high is not None and is_ > was + high))
        ):
            said.append(f"{what}: {is_:.0%}, at first {was:.0%}")
    for what, was, is_, least, most in (
        ("mean length", begin.length, now.length, 1 / config.longer, config.longer),
        ("nats a token", begin.entropy, now.entropy, config.flatter, None),
        ("the judge's mean margin", begin.margin, now.margin, None, config.surer),
    ):
        if (
            was
            and is_ is not None
            and ((least is not None and is_ < least * was) or (most is not None and is_ > most * was))
        ):
            said.append(f"{what}: {is_:.3g}, at first {was:.3g}")
    if now.kl_nats is not None and now.kl_nats > config.kl_nats:
        said.append(f"{now.kl_nats:.1f} nats from the first policy")
    return tuple(said)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))
