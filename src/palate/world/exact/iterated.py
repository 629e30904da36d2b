"""Rounds of RLHF where gold is known for every answer: label what the policy writes now, and begin again.

In a round the policy of the moment draws pairs; a labeller says which is better, and errs as a Bradley-Terry model of
gold does; a reward model that sees pairs of letters, and so neither the bend of style nor triples, is fitted to all
labels so far; the next policy is the best one for it at one KL from the reference. `offline` is the control: as many
labels, all of them on the reference's own answers. Every policy stands at the same KL, so that they differ by what
they were told and not by how far they went.

Shapes: `K` all sequences, `N` pairs that are labelled, `P` features.

Source: rounds of fresh comparisons, Bai et al. 2022, arXiv:2204.05862, section 4.5, and Ouyang et al. 2022,
arXiv:2203.02155, section 3.1; the policies in closed form, Korbak et al. 2022, arXiv:2205.11275, eq. 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.preferences.filtering import fit_logistic
from palate.world.exact.language import LENGTH, Language, all_sequences, pair_counts
from palate.world.exact.optimum import TiltPoint, nearly_frontier
from palate.world.exact.rlaif import Pairs

TESTED: Final = 10_000
"""Fresh pairs on which a reward model's accuracy is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How rounds are run."""

    kl_nats: float
    """KL of every policy from the reference."""
    labels: int = 1000
    """Pairs that are labelled in a round."""
    rounds: int = 3
    sharpness: float = 1.0
    """P(first) = σ(sharpness · difference in gold), gold in its deviations under the reference."""
    price: float = 2.0
    """On squared weights of the reward model, in nats."""

    def __post_init__(self) -> None:
        for name in ("kl_nats", "labels", "rounds", "sharpness", "price"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} of the rounds is not above 0", expected="above 0", found=f"{getattr(self, name)}"
                )


class Turn(NamedTuple):
    """What a round came to."""

    rewards_K: Float[Tensor, " K"]
    """The reward model's, in nats."""
    policy: TiltPoint
    """What pursues it."""
    gain: float
    """E[gold] of the policy above the reference's, in deviations under the reference."""


class Labelled(NamedTuple):
    """Pairs, and what was said of them."""

    pairs: Pairs
    said_N: Float[Tensor, " N"]
    """1 where the first was called better, else 0."""


def rounds(language: Language, plan: Plan, seed: int) -> list[Turn]:
    """The rounds, one after the other; the first labels answers of the reference."""
    turns: list[Turn] = []
    some: list[Labelled] = []
    for number in range(1, plan.rounds + 1):
        logprobs_K = turns[-1].policy.logprobs_K if turns else language.ref_logprobs_K
        some.append(label(language, plan, logprobs_K, plan.labels, derive_seed(seed, "round", number)))
        turns.append(turn(language, plan, some))
    return turns


def offline(language: Language, plan: Plan, seed: int) -> Turn:
    """As many labels as all rounds together have, all on answers of the reference; the first round's among them."""
    ref_K = language.ref_logprobs_K
    some = [
        label(language, plan, ref_K, plan.labels, derive_seed(seed, "round", 1)),
        label(language, plan, ref_K, plan.labels * (plan.rounds - 1), derive_seed(seed, "offline")),
    ]
    return turn(language, plan, some)


def most(language: Language, plan: Plan) -> float:
    """The gain of a policy that pursues gold itself at this KL: no labels can bring more."""
    found = nearly_frontier(language.ref_logprobs_K, language.gold_K, plan.kl_nats)
    return found.mean(language.gold_K) - float(language.ref_logprobs_K.exp() @ language.gold_K)


def label(language: Language, plan: Plan, logprobs_K: Float[Tensor, " K"], count: int, seed: int) -> Labelled:
    """Pairs that a policy draws, and one verdict on each."""
    generator = torch.Generator().manual_seed(seed)
    pairs = draw(logprobs_K, count, generator)
    p_N = (plan.sharpness * pairs.of(language.gold_K)).sigmoid()
    return Labelled(pairs, (torch.rand(count, generator=generator, dtype=torch.float64) < p_N).double())


def draw(logprobs_K: Float[Tensor, " K"], count: int, generator: torch.Generator) -> Pairs:
    """Pairs of answers of a policy."""
    upto_K = logprobs_K.exp().cumsum(0)
    places_M = torch.rand(2 * count, generator=generator, dtype=upto_K.dtype) * upto_K[-1]
    drawn_M = torch.searchsorted(upto_K, places_M, right=True).clamp(max=len(upto_K) - 1)
    return Pairs(drawn_M[:count], drawn_M[count:])


def turn(language: Language, plan: Plan, some: list[Labelled]) -> Turn:
    """A reward model of all these labels, and the policy that pursues it."""
    seen_KP = _seen(language.tokens_KT.shape[1])
    first_N, second_N = (torch.cat([getattr(one.pairs, side) for one in some]) for side in ("first_N", "second_N"))
    said_N = torch.cat([one.said_N for one in some])
    weights_P = fit_logistic((seen_KP[first_N] - seen_KP[second_N]).numpy(), said_N.numpy(), plan.price)
    rewards_K = seen_KP @ torch.from_numpy(weights_P)
    policy = nearly_frontier(language.ref_logprobs_K, rewards_K, plan.kl_nats)
    start = float(language.ref_logprobs_K.exp() @ language.gold_K)
    return Turn(rewards_K, policy, policy.mean(language.gold_K) - start)


def accuracy(
    language: Language, rewards_K: Float[Tensor, " K"], logprobs_K: Float[Tensor, " K"], seed: int, count: int = TESTED
) -> float:
    """How often a reward takes the better by gold of two answers of a policy; its own tie is half.

    NaN where all pairs are level in gold, as those of a policy that writes one answer only.

    Args:
        language: Where gold is; pairs that are level in it do not count.
        rewards_K: The reward.
        logprobs_K: The policy whose answers it is asked about.
        seed: Of the pairs.
        count: Pairs.
    """
    pairs = draw(logprobs_K, count, torch.Generator().manual_seed(seed))
    truth_N, told_N = pairs.of(language.gold_K).sign(), pairs.of(rewards_K).sign()
    return float((0.5 * (1 + truth_N * told_N))[truth_N != 0].mean())


@cache
def _seen(length: int = LENGTH) -> Tensor:
    """What a reward model sees of every sequence: how often each pair of neighbours stands in it."""
    return pair_counts(all_sequences(length=length))
