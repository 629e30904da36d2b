"""Which comparisons to ask about next.

| strategy | asks about |
|---|---|
| `random` | anything |
| `coverage` | groups, such as categories, that have the fewest judgements |
| `near-tie` | what the model is least sure of |
| `large-gap` | what the model is most sure of: cheap to judge, and dear where it is wrong |
| `ensemble` | what several models disagree about |
| `d-optimal` | what tells most about a Bradley-Terry model's weights, all answers of the batch together |

None is best everywhere, so a random slice is always kept: it is drawn first, from all candidates, so evaluation on
it is unbiased whatever the strategy does. With each row goes the probability of its being asked.

Shapes: C candidates, D features, M models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import ConfigError, DataError
from palate.core.ids import derive_seed

STRATEGIES: Final = ("random", "coverage", "near-tie", "large-gap", "ensemble", "d-optimal")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionConfig:
    """How to choose."""

    strategy: str = "random"
    count: int = 100
    random_share: float = 0.1
    """Of the batch, drawn at random; at least one row."""
    price: float = 1.0
    """For `d-optimal`: of a unit of squared weight, as in the fit of the model that is asked for."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ConfigError("there is no such strategy", expected=", ".join(STRATEGIES), found=self.strategy)
        if self.count < 1:
            raise ConfigError("a batch has no rows", expected="a count from 1", found=str(self.count))
        if not 0 < self.random_share <= 1:
            raise ConfigError(
                "the random slice is out of range", expected="above 0, to 1", found=str(self.random_share)
            )
        if not self.price > 0:
            raise ConfigError("the price of a weight is out of range", expected="above 0", found=str(self.price))


class Candidates(NamedTuple):
    """Comparisons that could be asked about; what a strategy does not need can be left out."""

    size: int
    """C."""
    p_first_C: np.ndarray | None = None
    """What the model believes."""
    members_MC: np.ndarray | None = None
    """The same of several models."""
    features_CD: np.ndarray | None = None
    """Of the first completion, less those of the second."""
    asked_DD: np.ndarray | None = None
    """Fisher information of what was asked already; nothing when left out."""
    group_C: np.ndarray | None = None
    """The number of each candidate's group."""
    judged_G: np.ndarray | None = None
    """Judgements that each group has."""


class Selected(NamedTuple):
    """One comparison to ask about."""

    candidate: int
    reason: str
    """The strategy, or `random` for the slice that evaluation may use."""
    probability: float
    """Of being asked: the share drawn for the random slice, and 1 for what the strategy settles on."""


def select(config: SelectionConfig, candidates: Candidates) -> list[Selected]:
    """A batch: the random slice first, then what the strategy likes, best first.

    Fewer candidates than were asked for are all taken.

    Raises:
        DataError: the strategy needs something that is not there.
    """
    rng = np.random.default_rng(derive_seed(config.seed, "selection"))
    count = min(config.count, candidates.size)
    slice_size = count if config.strategy == "random" else min(count, max(1, round(config.random_share * count)))
    drawn = rng.choice(candidates.size, slice_size, replace=False)
    share = slice_size / max(candidates.size, 1)
    batch = [Selected(number, "random", share) for number in drawn.tolist()]
    left = count - slice_size
    if left:
        free = np.ones(candidates.size, dtype=bool)
        free[drawn] = False
        chosen = _STRATEGIES[config.strategy](config, candidates, free, left, rng)
        batch += [Selected(number, config.strategy, 1.0) for number in chosen]
    return batch


def d_optimal(
    features_CD: np.ndarray,
    weights_C: np.ndarray,
    information_DD: np.ndarray,
    count: int,
    free_C: np.ndarray | None = None,
) -> list[int]:
    """Greedy choice of rows that raise log det of the information most, each in view of those before.

        information + Σ w x xᵀ,   gain of one more row = log(1 + w xᵀ information⁻¹ x)

    The greedy choice reaches at least 1 - 1/e of the best possible gain, because the gain is submodular.

    Args:
        features_CD: x, a row a candidate.
        weights_C: w; for Bradley-Terry p (1 - p).
        information_DD: Of what is known already; must be invertible.
        count: How many.
        free_C: True where a candidate may be chosen.

    Returns:
        Their numbers, in the order of choice.

    Source:
        Fedorov 1972, "Theory of Optimal Experiments"; Sherman and Morrison 1950 for the update; Nemhauser,
        Wolsey and Fisher 1978 for the bound.
    """
    inverse = np.linalg.inv(information_DD)
    spread = ((features_CD @ inverse) * features_CD).sum(axis=1)
    free = np.ones(len(features_CD), dtype=bool) if free_C is None else free_C.copy()
    chosen: list[int] = []
    for _ in range(min(count, int(free.sum()))):
        best = int(np.where(free, weights_C * spread, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        along = inverse @ features_CD[best]
        shrink = weights_C[best] / (1 + weights_C[best] * spread[best])
        inverse -= shrink * np.outer(along, along)
        spread -= shrink * (features_CD @ along) ** 2
    return chosen


def best_against_random(scores_NG: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the completions of each prompt, the one that the model scores best, and a random other, in random order.

    Candidates of this kind lie where a policy that is trained on the scores will go; random pairs seldom do.

    Args:
        scores_NG: What the model thinks of G >= 2 completions of each of N prompts.
        seed: Of the draws.

    Returns:
        `(first, second)`: for each prompt the places of two of its completions.

    Raises:
        DataError: there is one completion a prompt only.
    """
    prompts, several = scores_NG.shape
    if several < 2:
        raise DataError("a pair needs two completions of a prompt", expected="2 or more", found=str(several))
    rng = np.random.default_rng(derive_seed(seed, "best against random"))
    best = scores_NG.argmax(axis=1)
    other = (best + rng.integers(1, several, prompts)) % several
    turned = rng.random(prompts) < 0.5
    return np.where(turned, other, best), np.where(turned, best, other)


def information(features_CD: np.ndarray, p_C: np.ndarray, price: float) -> np.ndarray:
    """Fisher information of a Bradley-Terry model's weights, with a price on their square: D by D."""
    weighted = features_CD * (p_C * (1 - p_C))[:, None]
    return np.asarray(weighted.T @ features_CD + price * np.eye(features_CD.shape[1]))


def sentence(batch: list[Selected], strategy: str) -> str:
    """What a page says."""
    drawn = sum(row.reason == "random" for row in batch)
    if strategy == "random":
        return f"{len(batch)} comparisons, all at random: fit for evaluation as they are."
    return (
        f"{len(batch)} comparisons, {len(batch) - drawn} by {strategy} and {drawn} at random; "
        "evaluate on the random ones."
    )


def _top(scores_C: np.ndarray, free_C: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """The highest scores; equal ones in random order."""
    order = np.lexsort((rng.random(len(scores_C)), -np.where(free_C, scores_C, -np.inf)))
    return [int(number) for number in order[:count]]


def _needed(found: np.ndarray | None, what: str, strategy: str) -> np.ndarray:
    if found is None:
        raise DataError(f"the strategy {strategy} needs {what}", expected=what, hint="or choose `random`")
    return found


def _near_tie(
    config: SelectionConfig, of: Candidates, free: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    p = _needed(of.p_first_C, "what a model believes", config.strategy)
    return _top(-np.abs(p - 0.5), free, count, rng)


def _large_gap(
    config: SelectionConfig, of: Candidates, free: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    p = _needed(of.p_first_C, "what a model believes", config.strategy)
    return _top(np.abs(p - 0.5), free, count, rng)


def _ensemble(
    config: SelectionConfig, of: Candidates, free: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    members = _needed(of.members_MC, "what several models believe", config.strategy)
    return _top(members.var(axis=0), free, count, rng)


def _d_optimal(
    config: SelectionConfig, of: Candidates, free: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    x = _needed(of.features_CD, "features of the candidates", config.strategy)
    p = np.full(of.size, 0.5) if of.p_first_C is None else of.p_first_C
    known = config.price * np.eye(x.shape[1]) if of.asked_DD is None else of.asked_DD
    return d_optimal(x, p * (1 - p), known, count, free)


def _coverage(
    config: SelectionConfig, of: Candidates, free: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """One by one from the group that has least, counting what this batch brings."""
    group = _needed(of.group_C, "the group of each candidate", config.strategy)
    have = np.zeros(int(group.max(initial=-1)) + 1) if of.judged_G is None else of.judged_G.astype(float).copy()
    waiting = [list(rng.permutation(np.flatnonzero(free & (group == number)))) for number in range(len(have))]
    chosen: list[int] = []
    while len(chosen) < count and any(waiting):
        poorest = min((number for number, rows in enumerate(waiting) if rows), key=lambda number: have[number])
        chosen.append(int(waiting[poorest].pop()))
        have[poorest] += 1
    return chosen


_STRATEGIES: Final[
    dict[str, Callable[[SelectionConfig, Candidates, np.ndarray, int, np.random.Generator], list[int]]]
] = {
    "coverage": _coverage,
    "near-tie": _near_tie,
    "large-gap": _large_gap,
    "ensemble": _ensemble,
    "d-optimal": _d_optimal,
}
