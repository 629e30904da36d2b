"""Do intervals of win rates hold what they promise, and is a judge's taste for a place seen as it is?

| name | what it averages |
|---|---|
| `intervals/coverage` | share of 95 % intervals that hold the true win rate; mean over settings, |
| | from and to: the lowest and the highest setting |
| `intervals/coverage/at_the_rate` | the same with the rate of each setting as it is, not drawn near it |
| `intervals/coverage/percentile_bootstrap` | the same for a percentile bootstrap over prompts, on plain coins |
| `intervals/coverage/equal_length` | the same for the rate at equal length, where the judge likes length |
| `intervals/position_effect_unbiased` | mean position effect over win rates by a judge whom the order leaves cold |
| `intervals/position_coverage` | share of their intervals that hold the planted effect, that of no effect among them |
| `intervals/position_bias_recovered` | mean position effect over the planted one: 1 is right |

A setting is a number of prompts and of answers each (40 and 1, 100 and 2), a rate (.5, .8, .95), and a kind of verdict:
coins, a fifth of ties, a noisy judge who sees both orders, prompts of which each has a rate of its own. Each has 4,000
data sets, or 2,000 where the rate is as it is. Else it is drawn within .02 of the setting's for each data set: with 40
coins, the share of intervals that hold the truth jumps by up to 4 points between neighbouring rates, whatever the
interval (Brown, Cai and DasGupta 2001).

The judge of positions compares answers to 100 prompts in both orders and takes the first one outright in a planted
share of them (0, .1, .2 and .4, so the effect is 0, .05, .1 and .2); otherwise it is right in 7 of 10.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Final, NamedTuple

import numpy as np
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.core.judges import Opinion, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.core.subjects import Answer
from palate.evaluation.length_control import at_equal_length
from palate.evaluation.position import position
from palate.evaluation.statistics import Figure, mean, over_seeds, share
from palate.evaluation.win_rates import Match, judge_matches

RUNS: Final = 4000
"""Data sets a setting."""
AT_THE_RATE: Final = 2000
FEWER: Final = 250
"""Of the rate at equal length, which takes longer, and of the bootstrap."""
JUDGED: Final = 200
"""Win rates by a judge of each planted bias."""
SHAPES: Final = ((40, 1), (100, 2))
RATES: Final = (0.5, 0.8, 0.95)
NEAR: Final = 0.02
OUTRIGHT: Final = (0.0, 0.1, 0.2, 0.4)
RIGHT: Final = 0.7
_PAIRS: Final = 100


class Setting(NamedTuple):
    """What is simulated."""

    kind: str
    prompts: int
    answers: int
    rate: float


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    every = [Setting(kind, *shape, rate) for kind in DRAWS for shape in SHAPES for rate in RATES]
    coins = [setting for setting in every if setting.kind == "coins"]
    near = [_coverage(setting, seed, RUNS, share, NEAR) for setting in every]
    exact = [_coverage(setting, seed, AT_THE_RATE, share, 0.0) for setting in every]
    boot = [_coverage(setting, seed, FEWER, mean, NEAR) for setting in coins]
    lengths = [_equal_length_coverage(setting, seed) for setting in coins if setting.rate < 0.9 or setting.prompts > 40]
    return [
        _range("intervals/coverage", near, RUNS),
        _range("intervals/coverage/at_the_rate", exact, AT_THE_RATE),
        _range("intervals/coverage/percentile_bootstrap", boot, FEWER),
        _range("intervals/coverage/equal_length", lengths, FEWER),
        *_positions(seed),
    ]


def _coins(rng: np.random.Generator, setting: Setting, rate: float) -> np.ndarray:
    return (rng.random((setting.prompts, setting.answers)) < rate).astype(float)


def _ties(rng: np.random.Generator, setting: Setting, rate: float) -> np.ndarray:
    tied = min(0.2, 2 * (1 - rate))
    u = rng.random((setting.prompts, setting.answers))
    return np.where(u < rate - tied / 2, 1.0, np.where(u < rate + tied / 2, 0.5, 0.0))


def _both_orders(rng: np.random.Generator, setting: Setting, rate: float) -> np.ndarray:
    """Two verdicts on each pair, which has a chance of its own."""
    chance = rng.beta(2 * rate, 2 * (1 - rate), (setting.prompts, setting.answers))
    return rng.binomial(2, chance) / 2


def _prompts(rng: np.random.Generator, setting: Setting, rate: float) -> np.ndarray:
    """Verdicts on answers to one prompt hang together."""
    chance = rng.beta(2 * rate, 2 * (1 - rate), (setting.prompts, 1))
    return (rng.random((setting.prompts, setting.answers)) < chance).astype(float)


DRAWS: Final[dict[str, Callable[[np.random.Generator, Setting, float], np.ndarray]]] = {
    "coins": _coins,
    "ties": _ties,
    "both orders": _both_orders,
    "prompts": _prompts,
}


def _coverage(setting: Setting, seed: int, runs: int, interval: Callable[..., Figure], near: float) -> float:
    rng = np.random.default_rng(derive_seed(seed, "coverage", *setting))
    keys = [prompt for prompt in range(setting.prompts) for _ in range(setting.answers)]
    inside = 0
    for _ in range(runs):
        rate = float(rng.uniform(setting.rate - near, setting.rate + near))
        found = interval(DRAWS[setting.kind](rng, setting, rate).ravel().tolist(), keys)
        inside += found.low <= rate <= found.high
    return inside / runs


def _equal_length_coverage(setting: Setting, seed: int) -> float:
    """The judge's log-odds grow by 1.5 tanh(d / sd(d)), and ours is longer by half a deviation."""
    rng = np.random.default_rng(derive_seed(seed, "length", *setting))
    keys = [prompt for prompt in range(setting.prompts) for _ in range(setting.answers)]
    inside = 0
    for _ in range(FEWER):
        longer = rng.normal(0.5, 1.0, len(keys))
        odds = np.log(setting.rate / (1 - setting.rate)) + 1.5 * np.tanh(longer / longer.std())
        wins = (rng.random(len(keys)) < 1 / (1 + np.exp(-odds))).astype(float)
        found = at_equal_length(wins.tolist(), longer.tolist(), keys).rate
        inside += found is not None and found.low <= setting.rate <= found.high
    return inside / FEWER


class _Biased:
    """Takes the first one outright in a share of cases; else the better one, ours, in 7 of 10."""

    name = "biased"

    def __init__(self, outright: float, seed: int) -> None:
        self._outright, self._random = outright, random.Random(seed)

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair."""
        return [Opinion(self._said(pair)) for pair in pairs]

    def _said(self, pair: Pair) -> float:
        if self._random.random() < self._outright:
            return 1.0
        right = self._random.random() < RIGHT
        return float(right == (pair.first == "ours"))


def _positions(seed: int) -> list[dict[str, Any]]:
    found = [Match(Prompt.of(f"question {number}"), Answer("ours"), Answer("theirs")) for number in range(_PAIRS)]
    keys = [match.prompt.id for match in found]
    effects: dict[float, list[float]] = {outright: [] for outright in OUTRIGHT}
    inside = []
    for outright in OUTRIGHT:
        for run in range(JUDGED):
            judged = judge_matches(_Biased(outright, derive_seed(seed, "judge", outright, run)), found)
            effect = position([one.showings for one in judged], keys, twice=True).effect
            assert effect is not None
            effects[outright].append(effect.value)
            inside.append(float(effect.low <= outright / 2 <= effect.high))
    planted = [sum(some) / (sum(OUTRIGHT) / 2) for some in zip(*(effects[o] for o in OUTRIGHT if o), strict=True)]
    return [
        row("intervals/position_effect_unbiased", over_seeds(effects[0.0])),
        row("intervals/position_coverage", share(inside)),
        row("intervals/position_bias_recovered", over_seeds(planted)),
    ]


def _range(name: str, coverages: Sequence[float], runs: int) -> dict[str, Any]:
    """Mean over settings; from and to are the extreme ones."""
    return row(name, Figure(fmean(coverages), min(coverages), max(coverages), len(coverages) * runs))
