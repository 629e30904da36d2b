"""The expected gradient of every algorithm, with no sampling in it, and where following it ends.

Each loss below enumerates what a recipe would sample (every completion, or every group of two, with its
probability) and hands it to the functions that the recipe calls: the KL as k1 in the reward, advantages, loss.
The old log-probabilities are those of the policy itself, so ratios are 1. What remains is the mean step of the
algorithm, and the policy at which it stands still is what the algorithm converges to.

Shapes: `K` completions, `S` prefixes, `V` tokens, `B` rows: completions, or both sides of all pairs of them.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.functional.advantages import (
    GroupAdvantages,
    centred_advantages,
    leave_one_out_advantages,
    reinforce_advantages,
)
from palate.functional.gae import gae
from palate.functional.kl_placement import KLPenalty, penalised_scores
from palate.functional.policy_gradient import dr_grpo_loss, grpo_loss, reinforce_loss
from palate.functional.ppo import policy_loss
from palate.functional.rewards import token_rewards
from palate.world.exact.tree import TreeWorld

Loss = Callable[[TreeWorld, Tensor], Tensor]
"""World and logits_SV to a loss. Only its gradient means something: minus the algorithm's expected step."""
Penalise = Callable[..., Tensor]
"""`penalised_scores`, or a wrong variant of it."""
_PENALTY: Final = KLPenalty()
_STILL: Final = 1e-7
"""Nats. J* - J is quadratic in what the logits miss, so the rest is worth about 1e-13."""

_RUNAWAY: Final = 500.0
"""Nats in one step, beyond any optimum: a wrong penalty is on its way to infinity."""


class Rows(NamedTuple):
    """What a batch would hold if it held everything."""

    logprobs_BT: Float[Tensor, "B T"]
    """With gradient."""
    ref_logprobs_BT: Float[Tensor, "B T"]
    mask_BT: Bool[Tensor, "B T"]
    scores_B: Float[Tensor, " B"]
    """r, in reward units."""
    chances_B: Float[Tensor, " B"]
    """How much each row counts, no gradient; they sum to 1."""
    prompts_B: Int[Tensor, " B"]
    """Which group a row belongs to."""

    def penalised(self, world: TreeWorld, penalise: Penalise = penalised_scores) -> Float[Tensor, " B"]:
        """Scores with k1 subtracted, unless somebody penalises otherwise."""
        inputs = (self.scores_B, self.logprobs_BT.detach(), self.ref_logprobs_BT, self.mask_BT)
        return penalise(*inputs, beta=world.beta, penalty=_PENALTY)


def completions(world: TreeWorld, logits_SV: Float[Tensor, "S V"]) -> Rows:
    """Every completion, as often as the policy samples it."""
    tree = world.tree
    logprobs_KT, ref_logprobs_KT = tree.logprobs(logits_SV), tree.logprobs(world.reference_SV)
    chances_K = tree.probabilities(logits_SV.detach())
    return Rows(logprobs_KT, ref_logprobs_KT, tree.mask_KT, world.rewards_K, chances_K, torch.arange(len(chances_K)))


def pairs(world: TreeWorld, logits_SV: Float[Tensor, "S V"]) -> Rows:
    """Every group of two completions, in both orders and with itself, as often as the policy samples it."""
    alone = completions(world, logits_SV)
    count = len(alone.chances_B)
    first_B, second_B = torch.arange(count).repeat_interleave(count), torch.arange(count).repeat(count)
    chances_B = alone.chances_B[first_B] * alone.chances_B[second_B] / 2
    rows_B = torch.cat([first_B, second_B])
    return Rows(
        alone.logprobs_BT[rows_B],
        alone.ref_logprobs_BT[rows_B],
        alone.mask_BT[rows_B],
        alone.scores_B[rows_B],
        chances_B.repeat(2),
        prompts_B=torch.arange(count * count).repeat(2),
    )


def weighted(rows: Rows, advantages_B: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Advantages that make a loss, a mean over rows, the expectation over what is sampled.

    A factor above 0 may stand on the advantage: a clipped surrogate is linear in it.
    """
    return advantages_B * rows.chances_B * len(rows.chances_B)


def reinforce(world: TreeWorld, logits_SV: Tensor, penalise: Penalise = penalised_scores) -> Tensor:
    """REINFORCE on whole completions; any constant is a baseline, here that of the rewards."""
    rows = completions(world, logits_SV)
    advantages_B = reinforce_advantages(rows.penalised(world, penalise), baseline=0.0)
    return reinforce_loss(rows.logprobs_BT, weighted(rows, advantages_B), rows.mask_BT)


def rloo(world: TreeWorld, logits_SV: Tensor, penalise: Penalise = penalised_scores) -> Tensor:
    """REINFORCE with the other completion of the group as the baseline."""
    rows = pairs(world, logits_SV)
    advantages_B = leave_one_out_advantages(rows.penalised(world, penalise), rows.prompts_B).advantages_B
    return reinforce_loss(rows.logprobs_BT, weighted(rows, advantages_B), rows.mask_BT)


def grpo(
    world: TreeWorld,
    logits_SV: Tensor,
    penalise: Penalise = penalised_scores,
    advantages: Callable[[Tensor, Tensor], GroupAdvantages] = centred_advantages,
) -> Tensor:
    """GRPO without the division by the standard deviation, but with that by the length of a completion.

    That division distorts the way, and not the end: with k1 in the reward the optimum gives every completion
    the same penalised score, and advantages of 0 stay 0 whatever they are divided by.
    """
    rows = pairs(world, logits_SV)
    advantages_B = advantages(rows.penalised(world, penalise), rows.prompts_B).advantages_B
    old_BT = rows.logprobs_BT.detach()
    return grpo_loss(rows.logprobs_BT, old_BT, weighted(rows, advantages_B), rows.mask_BT, clip=0.2).loss


def dr_grpo(world: TreeWorld, logits_SV: Tensor, penalise: Penalise = penalised_scores) -> Tensor:
    """Dr. GRPO: neither the standard deviation nor the length."""
    rows = pairs(world, logits_SV)
    advantages_B = centred_advantages(rows.penalised(world, penalise), rows.prompts_B).advantages_B
    old_BT, longest = rows.logprobs_BT.detach(), rows.mask_BT.shape[1]
    return dr_grpo_loss(
        rows.logprobs_BT, old_BT, weighted(rows, advantages_B), rows.mask_BT, clip=0.2, max_tokens=longest
    ).loss


def ppo(
    world: TreeWorld,
    logits_SV: Tensor,
    *,
    lam: float = 0.95,
    discount: float = 1.0,
    critic: Callable[[TreeWorld, Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """PPO with a reward per token and a critic: the exact one, unless another is given.

    The sum over tokens is not divided by their mean number: a factor, the same for all.
    """
    rows = completions(world, logits_SV)
    ours_BT = rows.logprobs_BT.detach()
    rewards_BT = token_rewards(rows.scores_B, ours_BT, rows.ref_logprobs_BT, rows.mask_BT, beta=world.beta)
    values_S = (critic or exact_values)(world, rewards_BT, rows.chances_B)
    found = gae(rewards_BT, values_S[world.tree.prefixes_KT], rows.mask_BT, discount=discount, lam=lam)
    weighted_BT = found.advantages_BT * rows.chances_B.unsqueeze(-1)
    return policy_loss(rows.logprobs_BT, ours_BT, weighted_BT, rows.mask_BT, clip=0.2, denominator=1).loss


def exact_values(world: TreeWorld, rewards_KT: Tensor, chances_K: Tensor) -> Float[Tensor, " S"]:
    """V^π: the mean, over the completions that come by a prefix, of the rewards from there on."""
    tree = world.tree
    ahead_KT = rewards_KT.flip(-1).cumsum(-1).flip(-1)
    chances_KT = chances_K.unsqueeze(-1).expand_as(tree.mask_KT)
    at, empty_S = tree.prefixes_KT[tree.mask_KT], chances_K.new_zeros(len(tree.children_SV))
    totals_S = empty_S.index_add(0, at, (chances_KT * ahead_KT)[tree.mask_KT])
    return totals_S / empty_S.index_add(0, at, chances_KT[tree.mask_KT])


def no_values(world: TreeWorld, rewards_KT: Tensor, chances_K: Tensor) -> Float[Tensor, " S"]:
    """A critic that knows nothing: right only with λ = 1."""
    return chances_K.new_zeros(len(world.tree.children_SV))


def ppo_without_critic(world: TreeWorld, logits_SV: Tensor) -> Tensor:
    """PPO with λ = 1, where no critic can do harm."""
    return ppo(world, logits_SV, lam=1.0, critic=no_values)


ALGORITHMS: Final[dict[str, Loss]] = {
    "reinforce": reinforce,
    "rloo": rloo,
    "ppo": ppo,
    "ppo_lambda_1": ppo_without_critic,
    "grpo_no_std": grpo,
    "dr_grpo": dr_grpo,
}
"""Those that must end at the optimum."""


class Ascent(NamedTuple):
    """Where following an expected gradient has ended."""

    logits_SV: Float[Tensor, "S V"]
    steps: int
    """Taken before the policy stood still, or ran away; or all that were allowed."""


def ascend(world: TreeWorld, loss: Loss, *, steps: int = 2000, step_size: float = 1.0) -> Ascent:
    """Follow an algorithm's expected gradient from the reference until nothing moves.

    Natural steps: the gradient of each logit is divided by how often its token is reached. They change how fast
    a rare completion learns, and not where the gradient is 0. Nothing is minimised, because a surrogate loss has
    no minimum at the policy it belongs to: only its gradient counts.

    Args:
        world: Where.
        loss: Whose gradient.
        steps: At most.
        step_size: Of 1 / β; at 1, policy gradients of a bandit need one step.
    """
    logits_SV, taken = world.reference_SV.log_softmax(-1), 0
    while taken < steps:
        logits_SV = logits_SV.detach().requires_grad_()
        (gradient_SV,) = torch.autograd.grad(loss(world, logits_SV), logits_SV)
        with torch.no_grad():
            change_SV = -step_size / world.beta * gradient_SV / world.tree.visits(logits_SV)
            largest = float(change_SV.abs().max())
        if largest < _STILL:
            break
        change_SV = change_SV.clamp(-_RUNAWAY, _RUNAWAY)
        logits_SV, taken = (logits_SV.detach() + change_SV).log_softmax(-1), taken + 1
        if not largest < _RUNAWAY:
            break
    return Ascent(logits_SV.detach(), taken)


def reach(world: TreeWorld, algorithm: str) -> Ascent:
    """Follow one of `ALGORITHMS` to its end, in steps as large as its gradient is short.

    A mean that contains the completion itself halves the gradient of a group of two, and Dr. GRPO divides it by
    the longest completion.
    """
    longest = world.tree.mask_KT.shape[1]
    shortened = {"grpo_no_std": 2.0, "dr_grpo": 2.0 * longest}
    return ascend(world, ALGORITHMS[algorithm], step_size=shortened.get(algorithm, 1.0))
