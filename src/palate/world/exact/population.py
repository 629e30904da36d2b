"""What losses on preferences learn when every pair of completions was judged by infinitely many raters.

Shapes: `K` completions, `N` pairs of them, `S` prefixes, `V` tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.functional.dpo import DPOLoss
from palate.world.exact.tree import TreeWorld


class Pairs(NamedTuple):
    """All pairs of different completions, each once, and what raters think of them."""

    first_N: Int[Tensor, " N"]
    second_N: Int[Tensor, " N"]
    p_first_N: Float[Tensor, " N"]
    """Share of Bradley-Terry raters who prefer the first: σ(r₁ - r₂)."""

    def wins(self, count: int) -> Float[Tensor, " K"]:
        """P, how probably each of `count` completions wins against one drawn evenly, itself included."""
        wins_K = self.p_first_N.new_full((count,), 0.5)  # against itself
        wins_K = wins_K.index_add(0, self.first_N, self.p_first_N).index_add(0, self.second_N, 1 - self.p_first_N)
        return wins_K / count


def all_pairs(rewards_K: Float[Tensor, " K"]) -> Pairs:
    """Every pair, judged by raters who follow the rewards."""
    first_N, second_N = torch.triu_indices(len(rewards_K), len(rewards_K), offset=1)
    return Pairs(first_N, second_N, (rewards_K[first_N] - rewards_K[second_N]).sigmoid())


def minimise(
    world: TreeWorld,
    loss: Callable[..., DPOLoss],
    *,
    flip_rate: float = 0.0,
    labels: Callable[[Tensor], Tensor] = lambda answers_N: answers_N,
) -> Float[Tensor, "S V"]:
    """Logits of the policy with the least mean loss over all answers to all pairs, every pair counting alike.

    An answer is 1 or 0, "the first" or "the second", and weighs as much as raters give it.

    Args:
        world: The rewards that raters follow, the reference, and β.
        loss: `dpo_loss` or one with its arguments.
        flip_rate: Share of answers that say the opposite of what the rater thinks.
        labels: What is made of the answers, such as `denoised_labels`.
    """
    pairs = all_pairs(world.rewards_K)
    said_first_N = (1 - flip_rate) * pairs.p_first_N + flip_rate * (1 - pairs.p_first_N)
    weights_N = torch.cat([said_first_N, 1 - said_first_N])
    labels_N = labels(torch.cat([torch.ones_like(said_first_N), torch.zeros_like(said_first_N)]))
    first_N, second_N = pairs.first_N.repeat(2), pairs.second_N.repeat(2)
    reference_K = world.tree.sequence_logprobs(world.reference_SV)
    logits_SV = world.reference_SV.log_softmax(-1).clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits_SV],
        max_iter=3000,
        history_size=50,
        tolerance_grad=1e-13,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        policy_K = world.tree.sequence_logprobs(logits_SV)
        sides = (x[at] for x in (policy_K, reference_K) for at in (first_N, second_N))
        found = loss(*sides, beta=world.beta, p_chosen_N=labels_N, weights_N=weights_N).loss
        found.backward()
        return found

    optimizer.step(closure)
    return logits_SV.detach()
