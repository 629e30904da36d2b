"""A language of four letters in which every sequence is known: 4⁹ = 262,144 of them, all nine letters long.

The base is a Markov chain. Gold pays for pairs of neighbours, for one letter (the style) up to a point and not
beyond, and for triples. The proxy is the best that can be made of gold by looking at pairs only, as a reward
model with too small an eye would: near the base it is nearly right, and far away style is paid for without end.

Shapes: `K` sequences, `T` letters, `V` the alphabet, `P` pairs of letters.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.world.exact.bandit import TabularBandit, unit_variance
from palate.world.exact.optimum import TiltPoint, frontier

LETTERS: Final = 4
LENGTH: Final = 9
STYLE: Final = 0
"""The letter that gold pays for: more of it is better, and less so each time."""


def all_sequences(letters: int = LETTERS, length: int = LENGTH) -> Int[Tensor, "K T"]:
    """Every sequence, in the order of counting, so that a sequence's number is its letters as digits."""
    places_T = letters ** torch.arange(length - 1, -1, -1)
    return torch.arange(letters**length).unsqueeze(-1) // places_T % letters


def sequence_numbers(tokens_BT: Int[Tensor, "B T"], letters: int = LETTERS) -> Int[Tensor, " B"]:
    """Which of `all_sequences` each row is."""
    places_T = letters ** torch.arange(tokens_BT.shape[1] - 1, -1, -1)
    return (tokens_BT * places_T).sum(-1)


@dataclass(frozen=True, eq=False)
class Language:
    """All sequences, how probable each is, what it is worth, and what it is taken to be worth.

    Both scores have mean 0 and variance 1 under the reference.
    """

    tokens_KT: Int[Tensor, "K T"]
    """`all_sequences`."""
    ref_logprobs_K: Float[Tensor, " K"]
    """log π_ref of every sequence, in nats."""
    gold_K: Float[Tensor, " K"]
    """The truth, in reward units."""
    proxy_K: Float[Tensor, " K"]
    """The reward that can be trained on, in reward units."""

    def __post_init__(self) -> None:
        """Refuse a reference that is no distribution over all sequences."""
        log_total = float(self.ref_logprobs_K.logsumexp(-1))
        if not abs(log_total) < 1e-4:
            raise DataError(
                "the reference is not a distribution over all sequences",
                expected="log-probabilities whose exponentials sum to 1",
                found=f"a sum of exp {log_total:g}",
                hint="sum over all letters of a sequence, and let no probability go to an end token",
            )

    @cached_property
    def correlation(self) -> float:
        """Of gold and proxy under the reference: how good the reward model is there."""
        return float(self.ref_logprobs_K.exp() @ (self.gold_K * self.proxy_K))

    def with_reference(self, ref_logprobs_K: Float[Tensor, " K"]) -> "Language":
        """The same scores with another reference, such as a model that has learned the language.

        Scores are scaled again, to variance 1 under it.

        Args:
            ref_logprobs_K: log-probability of every sequence, in the order of `tokens_KT`.
        """
        reference_K = ref_logprobs_K.double().exp()
        reference_K = reference_K / reference_K.sum()
        scaled = (unit_variance(scores_K, reference_K) for scores_K in (self.gold_K, self.proxy_K))
        return Language(self.tokens_KT, ref_logprobs_K.double(), *scaled)

    def world(self, beta: float) -> TabularBandit:
        """J, its optimum and its best value, for the proxy, with sequences for arms."""
        return TabularBandit(self.proxy_K, self.ref_logprobs_K.exp(), beta)

    def kl_nats(self, logprobs_K: Float[Tensor, " K"]) -> float:
        """KL(π ‖ π_ref) of any policy over the sequences."""
        return float(logprobs_K.exp() @ (logprobs_K - self.ref_logprobs_K))

    def frontier(self, kl_nats: float) -> TiltPoint:
        """The policy with the most proxy at a KL; `mean(gold_K)` is what it is truly worth."""
        return frontier(self.ref_logprobs_K, self.proxy_K, kl_nats)

    def share_of_gain(self, logprobs_K: Float[Tensor, " K"]) -> float:
        """E[proxy] of a policy, above the reference's, over the most that its KL could have bought.

        Raises:
            DataError: The policy has spent no KL, or more than any frontier policy can.
        """
        kl_nats = self.kl_nats(logprobs_K)
        start = float(self.ref_logprobs_K.exp() @ self.proxy_K)
        possible = self.frontier(kl_nats).reward - start
        if not possible > 0:
            raise DataError("a policy at its reference has no gain to be shared", found=f"{kl_nats:g} nats of KL")
        return (float(logprobs_K.exp() @ self.proxy_K) - start) / possible


def random_language(seed: int, *, length: int = LENGTH, style: float = 1.5, residual: float = 0.5) -> Language:
    """A language with its base, its gold and the proxy that pairs of letters allow.

    Args:
        seed: Of the base and of all weights.
        length: T; 4ᵀ sequences are held in memory.
        style: How much the style letter matters, against 1 for the pairs.
        residual: How much triples matter.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "exact language"))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tokens_KT = all_sequences(LETTERS, length)
    first_V, next_VV = draw(LETTERS).log_softmax(-1), draw(LETTERS, LETTERS).log_softmax(-1)
    before_KT, after_KT = tokens_KT[:, :-1], tokens_KT[:, 1:]
    ref_logprobs_K = first_V[tokens_KT[:, 0]] + next_VV[before_KT, after_KT].sum(-1)
    reference_K = ref_logprobs_K.exp()

    content_K = draw(LETTERS, LETTERS)[before_KT, after_KT].sum(-1)
    triples_K = draw(LETTERS, LETTERS, LETTERS)[tokens_KT[:, :-2], tokens_KT[:, 1:-1], tokens_KT[:, 2:]].sum(-1)
    count_K = (tokens_KT == STYLE).sum(-1).double()
    usual = reference_K @ count_K
    enough = usual + (reference_K @ (count_K - usual).square()).sqrt()
    parts = (content_K, -(count_K - enough).square(), triples_K)
    weights = (1.0, style, residual)
    gold_K = sum(
        (w * unit_variance(part_K, reference_K) for w, part_K in zip(weights, parts, strict=True)),
        torch.zeros_like(reference_K),
    )
    gold_K = unit_variance(gold_K, reference_K)
    proxy_K = unit_variance(_seen_in_pairs(gold_K, tokens_KT, reference_K), reference_K)
    return Language(tokens_KT, ref_logprobs_K, gold_K, proxy_K)


def pair_counts(tokens_KT: Int[Tensor, "K T"]) -> Float[Tensor, "K P"]:
    """How often each pair of neighbours stands in each sequence, first letter major."""
    pairs_KT = tokens_KT[:, :-1] * LETTERS + tokens_KT[:, 1:]
    counts_KP = torch.zeros(len(tokens_KT), LETTERS**2, dtype=torch.float64)
    return counts_KP.scatter_add(1, pairs_KT, torch.ones_like(pairs_KT).double())


def _seen_in_pairs(gold_K: Tensor, tokens_KT: Tensor, reference_K: Tensor) -> Tensor:
    """The least-squares fit of gold, under the reference, by how often each pair of neighbours occurs."""
    counts_KP = pair_counts(tokens_KT)
    roots_K = reference_K.sqrt().unsqueeze(-1)
    found = torch.linalg.lstsq(roots_K * counts_KP, roots_K * gold_K.unsqueeze(-1), driver="gelsd")
    fitted: Tensor = counts_KP @ found.solution
    return fitted.squeeze(-1)
