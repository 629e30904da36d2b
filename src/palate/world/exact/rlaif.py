"""Labels of a model in place of people's, in worlds where gold is known for every answer (RLAIF).

A judge is a Bradley-Terry model that was trained on labels of its own, few or many, and sees letters, or pairs of
letters too, or triples too. How often it is right is measured afterwards and never set; its errors lie in what it
believes, so it makes the same ones again and again, and asking it more does not average them out. It answers with
probabilities.

| arm | labels | the policy pursues |
|---|---|---|
| people | hard verdicts of careful people | a reward model of pairs, letters and length |
| canonical | the judge's probabilities, of more pairs | the same kind of reward model |
| direct | none | the judge's own score |

Every policy is the best one for what it pursues at one KL from the reference, so that arms differ by what they were
told and not by how far they went.

Shapes: `K` all answers, `N` pairs that are labelled, `D` features.

Source: Lee et al. 2023, arXiv:2309.00267 (soft labels; canonical and direct).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.ids import derive_seed
from palate.preferences.filtering import fit_logistic
from palate.world.exact.answers import seen
from palate.world.exact.gaming import PRICE, World
from palate.world.exact.optimum import TiltPoint, nearly_frontier

TESTED: Final = 20_000
"""Pairs on which a judge's accuracy is measured."""


class Schooling(NamedTuple):
    """What a judge is made of: the dial of its quality."""

    sees: str
    """One of `SIGHTS`."""
    labels: int
    """Pairs that people labelled for it; they are no pair of any arm."""


class Judge(NamedTuple):
    """A model that labels."""

    schooling: Schooling
    scores_K: Float[Tensor, " K"]
    """In nats: P(first is better) = σ(score of the first - score of the second)."""
    accuracy: float
    """How often it takes the better by gold of two answers of the reference; a tie is half."""
    agreement: float
    """How often it says what a careful person says, which is all that can be seen where gold is not known."""


class Pairs(NamedTuple):
    """Pairs of answers that the reference drew."""

    first_N: Int[Tensor, " N"]
    second_N: Int[Tensor, " N"]

    def of(self, values_K: Float[Tensor, " K"]) -> Float[Tensor, " N"]:
        """Value of the first less value of the second."""
        return values_K[self.first_N] - values_K[self.second_N]

    def upto(self, count: int) -> Pairs:
        """The first ones of them."""
        return Pairs(self.first_N[:count], self.second_N[:count])


class Outcome(NamedTuple):
    """What a policy is worth."""

    win_rate: float
    """P(its answer has more gold than one of the reference's) + ½ P(as much)."""
    gain: float
    """E_π[gold] above the reference's, in its standard deviations there."""
    kl_nats: float


def pairs_of(world: World, count: int, seed: int) -> Pairs:
    """Pairs drawn from the reference."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "pairs"))
    drawn = torch.multinomial(world.ref_logprobs_K.exp(), 2 * count, replacement=True, generator=generator)
    return Pairs(drawn[:count], drawn[count:])


def people(world: World, pairs: Pairs, seed: int, care: float = 1.0) -> Float[Tensor, " N"]:
    """What people say, one a pair: 1 with probability σ(care · sharpness · difference in gold), else 0.

    Args:
        world: Where gold and sharpness are.
        pairs: What they are shown.
        seed: Of their verdicts.
        care: 1 is a careful person; below, they err more often, and each time anew.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "people"))
    p_N = (care * world.sharpness * pairs.of(world.gold_K)).sigmoid()
    return (torch.rand(len(p_N), generator=generator, dtype=torch.float64) < p_N).double()


def expected_accuracy(world: World, pairs: Pairs, care: float = 1.0) -> float:
    """How often a verdict of `people` takes the better by gold."""
    gap_N = pairs.of(world.gold_K)
    return float((care * world.sharpness * gap_N.abs()).sigmoid()[gap_N != 0].mean())


def alike(world: World, pairs: Pairs) -> float:
    """How often two careful people say the same of a pair; two of the same answer do not count."""
    gap_N = world.sharpness * pairs.of(world.gold_K)
    p_N = gap_N[gap_N != 0].sigmoid()
    return float((p_N.square() + (1 - p_N).square()).mean())


def reward_model(
    pairs: Pairs, p_first_N: Float[Tensor, " N"], *, sees: str = "pairs", price: float = PRICE
) -> Float[Tensor, " K"]:
    """Scores of all answers by a Bradley-Terry model that was fitted to labels, hard or soft, in nats.

    Args:
        pairs: What was labelled.
        p_first_N: How probable it is that the first is better, 0 to 1.
        sees: One of `SIGHTS`.
        price: On its squared weights.

    Raises:
        ConfigError: nobody sees so.
    """
    seen_KD = seen(sees)
    difference_ND = seen_KD[pairs.first_N] - seen_KD[pairs.second_N]
    weights_D = fit_logistic(difference_ND.numpy(), p_first_N.numpy(), price)
    return seen_KD @ torch.from_numpy(weights_D)


def train_judge(world: World, schooling: Schooling, seed: int) -> Judge:
    """A judge that learned from people's labels of pairs of its own; its accuracy is measured on yet others."""
    pairs = pairs_of(world, schooling.labels, derive_seed(seed, "school", *schooling))
    told_N = people(world, pairs, derive_seed(seed, "school", *schooling))
    scores_K = reward_model(pairs, told_N, sees=schooling.sees)
    tested = pairs_of(world, TESTED, derive_seed(seed, "tested"))
    right = accuracy(world, scores_K, tested)
    return Judge(schooling, scores_K, right, agreement(world, scores_K, tested))


def accuracy(world: World, scores_K: Float[Tensor, " K"], pairs: Pairs) -> float:
    """How often scores take the better of two answers; a tie of theirs is half, pairs of equal gold do not count."""
    truth_N, told_N = pairs.of(world.gold_K).sign(), pairs.of(scores_K).sign()
    return float((0.5 * (1 + truth_N * told_N))[truth_N != 0].mean())


def agreement(world: World, scores_K: Float[Tensor, " K"], pairs: Pairs) -> float:
    """How often scores take the answer that a careful person takes; two of the same answer do not count."""
    gap_N = world.sharpness * pairs.of(world.gold_K)
    told_N = pairs.of(scores_K).sign()
    return float((0.5 * (1 + told_N * (2 * gap_N.sigmoid() - 1)))[gap_N != 0].mean())


def labels_of(judge: Judge, pairs: Pairs) -> Float[Tensor, " N"]:
    """What a judge says of pairs: probabilities that the first is better."""
    return pairs.of(judge.scores_K).sigmoid()


def policy(world: World, rewards_K: Float[Tensor, " K"], kl_nats: float) -> TiltPoint:
    """The policy with the most of a reward within a KL; see `optimum.nearly_frontier`."""
    return nearly_frontier(world.ref_logprobs_K, rewards_K, kl_nats)


class Gold:
    """Measures policies of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        ref_K = world.ref_logprobs_K.exp()
        values_U, where_K = world.gold_K.unique(return_inverse=True)
        mass_U = torch.zeros_like(values_U).index_add_(0, where_K, ref_K)
        self.beats_K = (mass_U.cumsum(0) - mass_U / 2)[where_K]
        """How probably each answer has more gold than one of the reference's, a tie half."""

    def outcome(self, rewards_K: Float[Tensor, " K"], kl_nats: float) -> Outcome:
        """What pursuing a reward up to a KL comes to."""
        found = policy(self.world, rewards_K, kl_nats)
        return Outcome(found.mean(self.beats_K), found.mean(self.world.gold_K), found.kl_nats)
