"""PPO, RLOO and GRPO on samples of a world: what chance leaves of the optimum.

The learner sees what a recipe sees: completions that it sampled, token by token, their scores, and log-probabilities.
Probabilities of completions, optimum and J are for whoever measures it afterwards.

Shapes: `S` prefixes, `V` tokens, `B` completions, `T` tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.advantages import centred_advantages, leave_one_out_advantages
from palate.functional.gae import gae
from palate.functional.importance import sequence_importance
from palate.functional.kl_placement import KLPenalty, penalised_scores
from palate.functional.logprobs import token_logprobs
from palate.functional.masked import whiten
from palate.functional.policy_gradient import grpo_loss, reinforce_loss
from palate.functional.ppo import policy_loss, value_loss
from palate.functional.rewards import token_rewards
from palate.world.exact.tree import Tree, TreeWorld

_PENALTY: Final = KLPenalty()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledConfig:
    """Settings of a run; the same for all three algorithms."""

    iterations: int = 300
    """Rounds of sampling and learning."""
    prompts: int = 1024
    """Groups in an iteration; the prompt is always the same."""
    group_size: int = 4
    """G, completions in a group; PPO does not look at groups."""
    minibatches: int = 2
    """Optimiser steps in an iteration: whole groups, in a new order each time."""
    learning_rate: float = 0.05
    """Of Adam, straight down to 0, so that the noise of the last steps averages out."""
    clip: float = 0.2
    """Of the ratio, for PPO and GRPO, and of PPO's values in reward units."""
    importance_cap: float = 5.0
    """Of the ratio of a completion, for RLOO."""
    gae_lambda: float = 0.95
    """Of PPO."""
    seed: int = 0
    """Of sampling and order."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        numbers = (self.iterations, self.prompts, self.group_size - 1, self.minibatches, self.learning_rate)
        if min(numbers) <= 0 or self.prompts % self.minibatches:
            raise ConfigError(
                "these settings of a sampled run cannot work",
                expected="numbers above 0, groups of 2 or more, and minibatches that divide the prompts",
                found=str(self),
            )


class Batch(NamedTuple):
    """Completions of the policy as it was, and what is learned from them."""

    prefixes_BT: Int[Tensor, "B T"]
    tokens_BT: Int[Tensor, "B T"]
    mask_BT: Bool[Tensor, "B T"]
    old_BT: Float[Tensor, "B T"]
    """Log-probabilities when they were sampled."""
    advantages: Float[Tensor, "B ..."]
    """One a completion, or, for PPO, one a token."""
    old_values_BT: Float[Tensor, "B T"]
    """PPO's values and their targets; 0 elsewhere."""
    returns_BT: Float[Tensor, "B T"]


class Learner(NamedTuple):
    """What is trained: a policy and, for PPO, a critic; both are tables."""

    logits_SV: Float[Tensor, "S V"]
    values_S: Float[Tensor, " S"]


Prepare = Callable[[TreeWorld, Learner, Tensor, SampledConfig], Batch]
Objective = Callable[[Tensor, Learner, Batch, SampledConfig], Tensor]


def _sampled(world: TreeWorld, learner: Learner, completions_B: Tensor) -> tuple[Batch, Tensor, Tensor]:
    """The batch without its advantages, log-probabilities under the reference, and scores."""
    tree: Tree = world.tree
    prefixes_BT, tokens_BT = tree.prefixes_KT[completions_B], tree.tokens_KT[completions_B]
    old_BT = token_logprobs(learner.logits_SV[prefixes_BT], tokens_BT)
    ref_BT = token_logprobs(world.reference_SV[prefixes_BT], tokens_BT)
    none_BT = torch.zeros_like(old_BT)
    batch = Batch(prefixes_BT, tokens_BT, tree.mask_KT[completions_B], old_BT, none_BT, none_BT, none_BT)
    return batch, ref_BT, world.rewards_K[completions_B]


def _prepare_ppo(world: TreeWorld, learner: Learner, completions_B: Tensor, config: SampledConfig) -> Batch:
    batch, ref_BT, scores_B = _sampled(world, learner, completions_B)
    rewards_BT = token_rewards(scores_B, batch.old_BT, ref_BT, batch.mask_BT, beta=world.beta)
    values_BT = torch.where(batch.mask_BT, learner.values_S[batch.prefixes_BT], 0.0)
    found = gae(rewards_BT, values_BT, batch.mask_BT, discount=1.0, lam=config.gae_lambda)
    advantages_BT = whiten(found.advantages_BT, batch.mask_BT)
    return batch._replace(advantages=advantages_BT, old_values_BT=values_BT, returns_BT=found.returns_BT)


def _prepare_groups(
    world: TreeWorld, learner: Learner, completions_B: Tensor, config: SampledConfig, *, leave_one_out: bool
) -> Batch:
    batch, ref_BT, scores_B = _sampled(world, learner, completions_B)
    scores_B = penalised_scores(scores_B, batch.old_BT, ref_BT, batch.mask_BT, beta=world.beta, penalty=_PENALTY)
    prompts_B = torch.arange(config.prompts).repeat_interleave(config.group_size)
    advantages = leave_one_out_advantages if leave_one_out else centred_advantages
    return batch._replace(advantages=advantages(scores_B, prompts_B).advantages_B)


def _prepare_rloo(world: TreeWorld, learner: Learner, completions_B: Tensor, config: SampledConfig) -> Batch:
    return _prepare_groups(world, learner, completions_B, config, leave_one_out=True)


def _prepare_grpo(world: TreeWorld, learner: Learner, completions_B: Tensor, config: SampledConfig) -> Batch:
    return _prepare_groups(world, learner, completions_B, config, leave_one_out=False)


def _ppo(new_BT: Tensor, learner: Learner, batch: Batch, config: SampledConfig) -> Tensor:
    policy = policy_loss(new_BT, batch.old_BT, batch.advantages, batch.mask_BT, clip=config.clip)
    values_BT = learner.values_S[batch.prefixes_BT]
    critic = value_loss(values_BT, batch.old_values_BT, batch.returns_BT, batch.mask_BT, clip=config.clip)
    return policy.loss + critic.loss


def _rloo(new_BT: Tensor, learner: Learner, batch: Batch, config: SampledConfig) -> Tensor:
    stale = sequence_importance(new_BT.detach(), batch.old_BT, batch.mask_BT, cap=config.importance_cap)
    return reinforce_loss(new_BT, batch.advantages, batch.mask_BT, importance_B=stale.weights_B)


def _grpo(new_BT: Tensor, learner: Learner, batch: Batch, config: SampledConfig) -> Tensor:
    return grpo_loss(new_BT, batch.old_BT, batch.advantages, batch.mask_BT, clip=config.clip).loss


ALGORITHMS: Final[dict[str, tuple[Prepare, Objective]]] = {
    "ppo": (_prepare_ppo, _ppo),
    "rloo": (_prepare_rloo, _rloo),
    "grpo_no_std": (_prepare_grpo, _grpo),
}


def train(world: TreeWorld, algorithm: str, config: SampledConfig) -> Float[Tensor, "S V"]:
    """Learn from samples, beginning at the reference.

    Args:
        world: Where; its scores are asked for sampled completions only.
        algorithm: One of `ALGORITHMS`.
        config: Settings.

    Returns:
        Logits of the policy at the end.
    """
    prepare, objective = ALGORITHMS[algorithm]
    logits_SV = world.reference_SV.log_softmax(-1).clone().requires_grad_()
    learner = Learner(logits_SV, torch.zeros(len(logits_SV), dtype=logits_SV.dtype, requires_grad=True))
    optimizer = torch.optim.Adam(learner, betas=(0.9, 0.95), eps=1e-8)
    sampling = torch.Generator().manual_seed(derive_seed(config.seed, "samples"))
    order = torch.Generator().manual_seed(derive_seed(config.seed, "order"))
    rows_PG = torch.arange(config.prompts * config.group_size).view(config.prompts, config.group_size)
    for iteration in range(config.iterations):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * (1 - iteration / config.iterations)
        with torch.no_grad():
            completions_B = world.tree.sample(logits_SV, rows_PG.numel(), sampling)
            batch = prepare(world, learner, completions_B, config)
        for prompts in torch.randperm(config.prompts, generator=order).chunk(config.minibatches):
            part = Batch(*(x[rows_PG[prompts].flatten()] for x in batch))
            new_BT = token_logprobs(logits_SV[part.prefixes_BT], part.tokens_BT)
            optimizer.zero_grad()
            torch.autograd.backward(objective(new_BT, learner, part, config))
            optimizer.step()
    return logits_SV.detach()
