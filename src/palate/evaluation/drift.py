"""Has what comes in become something else? A martingale that bets on it, and may be looked at after every row.

Each new row has a score that was fixed beforehand. If rows still come from where they came from, its rank among all
scores so far is uniform, whatever the scores are, and independent of the ranks before it. A gambler bets on ranks that
are not; by Ville's inequality, the chance that they ever multiply their stake by 1 / α is at most α. So α is the
share of false alarms over the whole life of a watch, however often somebody looks.

Sources: ranks: Vovk, Nouretdinov and Gammerman 2003, Testing exchangeability on-line. The bets, and the jumps between
them: Vovk et al. 2021, arXiv:2105.08669 (conformal test martingales, "simple jumper"). Of prompts the score is the
surprise of a model of words, smoothed as by Laplace.

Shapes: `C` rows that were there before, `N` rows since, `K` bets.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float

from palate.core.errors import DataError
from palate.core.ids import derive_seed

ALPHA: Final = 0.05
"""Share of watches that ever raise a false alarm, at most."""
BETS: Final = (-1.0, 0.0, 1.0)
"""That ranks are low, that they are anything, that they are high."""
JUMP: Final = 0.01
"""Share of the stake that is spread over all bets anew at each row."""
FEWEST: Final = 20
"""Rows that a watch needs before it begins."""
_WORD: Final = re.compile(r"\w+")


class Watch(NamedTuple):
    """What a watch has come to."""

    wealth: np.ndarray
    """Of the gambler after each row, from a stake of 1; in natural logarithms."""
    alarm: int | None
    """The row after which the stake had been multiplied by 1 / α for the first time, counted from 0."""
    alpha: float

    @property
    def evidence(self) -> float:
        """How many times over the stake was, at most: 20 is an alarm at α = 5 %."""
        return float(np.exp(min(self.wealth.max(initial=0.0), 700.0)))


def watch(before_C: Sequence[float], since_N: Sequence[float], *, alpha: float = ALPHA, seed: int = 0) -> Watch:
    """Bet on the ranks of new scores among all so far.

    Args:
        before_C: Scores of rows from before, which the score was not fitted to.
        since_N: Scores of rows since, in the order in which they came.
        alpha: Share of false alarms, at most.
        seed: Settles ranks of equal scores, always in the same way.

    Raises:
        DataError: too little was there before, or a score is no number.
    """
    if len(before_C) < FEWEST:
        raise DataError("too little was there before", expected=f"{FEWEST} rows or more", found=str(len(before_C)))
    if not all(map(math.isfinite, (*before_C, *since_N))):
        raise DataError("a score is no number", expected="finite scores")
    p_N = _ranks(before_C, since_N, seed)
    bets_K = np.array(BETS)
    stake_K = np.full(len(BETS), 1 / len(BETS))
    wealth, found = 0.0, []
    for p in p_N:
        stake_K = (1 - JUMP) * stake_K + JUMP / len(BETS)
        stake_K = stake_K * (1 + bets_K * (p - 0.5))
        won = float(stake_K.sum())
        stake_K = stake_K / won
        wealth += math.log(won)
        found.append(wealth)
    line = np.array(found)
    over = np.flatnonzero(line >= -math.log(alpha))
    return Watch(line, int(over[0]) if len(over) else None, alpha)


def _ranks(before_C: Sequence[float], since_N: Sequence[float], seed: int) -> Float[np.ndarray, " N"]:
    """How large each score is among all so far, from 0 to 1; equal ones are settled by chance."""
    rng = np.random.default_rng(derive_seed(seed, "drift"))
    so_far = sorted(before_C)
    found = []
    for score in since_N:
        insort(so_far, score)
        low, high = bisect_left(so_far, score), bisect_right(so_far, score)
        found.append((low + float(rng.random()) * (high - low)) / len(so_far))
    return np.array(found)


class Words:
    """How surprising a text is to a model of single words: nats a word, beside the words it was fitted to.

    Args:
        texts: What it is fitted to.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts = Counter(word for text in texts for word in _words(text))
        self._total = sum(self._counts.values()) + len(self._counts) + 1

    def surprise(self, text: str) -> float:
        """Mean over its words; 0 of a text without one."""
        found = [-math.log((self._counts[word] + 1) / self._total) for word in _words(text)]
        return sum(found) / len(found) if found else 0.0


def prompts(before: Sequence[str], since: Sequence[str], *, alpha: float = ALPHA, seed: int = 0) -> Watch:
    """Are other things asked than before? Half of what was asked before teaches the score, half is ranked with it.

    Args:
        before: Texts of prompts, in any order.
        since: Texts of prompts since, in the order in which they came.
        alpha: Share of false alarms, at most.
        seed: Of the halves.

    Raises:
        DataError: too little was asked before.
    """
    order = np.random.default_rng(derive_seed(seed, "halves")).permutation(len(before))
    shuffled = [before[at] for at in order]
    half = len(shuffled) // 2
    model = Words(shuffled[:half])
    scores = [model.surprise(text) for text in shuffled[half:]]
    return watch(scores, [model.surprise(text) for text in since], alpha=alpha, seed=seed)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
