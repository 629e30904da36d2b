"""PPO, RLOO and GRPO of a small transformer: how much of the exact frontier a real network reaches.

The learner is given what a recipe is given: a model, its frozen reference, and a function that scores what was
sampled. It never sees a language, so nothing exact can leak into it.

Shapes: `B` sequences, `T` letters.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.advantages import centred_advantages, leave_one_out_advantages
from palate.functional.gae import gae
from palate.functional.importance import sequence_importance
from palate.functional.kl_placement import KLPenalty, penalised_scores
from palate.functional.masked import whiten
from palate.functional.policy_gradient import dr_grpo_loss, reinforce_loss
from palate.functional.ppo import policy_loss, value_loss
from palate.functional.rewards import token_rewards
from palate.training.optimisation import linear_schedule, optimizer_step, set_learning_rate
from palate.world.exact.transformer import BEGIN, read, sample

_PENALTY: Final = KLPenalty()

Score = Callable[[Int[Tensor, "B T"]], Float[Tensor, " B"]]
"""A reward for each of some sequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningConfig:
    """Settings of a stretch of training at one price of KL; the same for all three algorithms."""

    iterations: int = 100
    """Rounds of sampling and learning."""
    prompts: int = 64
    """Groups in an iteration; the prompt is always the same."""
    group_size: int = 16
    """G, completions in a group; PPO does not look at groups."""
    minibatches: int = 4
    """Optimiser steps in an iteration: whole groups, in a new order each time."""
    learning_rate: float = 2e-3
    """Of Adam, at its height; it falls to a tenth."""
    decay_from: float = 0.4
    """Share of the stretch after which it falls."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    clip: float = 0.2
    """Of the ratio, for PPO and GRPO."""
    value_clip: float = 0.5
    """Of PPO's values, in reward units."""
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
                "these settings of a stretch of training cannot work",
                expected="numbers above 0, groups of 2 or more, and minibatches that divide the prompts",
                found=str(self),
            )


class Critic(nn.Module):
    """A transformer of its own with a head for values, which are 0 to begin with."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(model.base_model).requires_grad_()
        self.head = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """What is still to come, before each letter, in reward units."""
        inputs_BT = torch.cat([tokens_BT.new_full((len(tokens_BT), 1), BEGIN), tokens_BT[:, :-1]], dim=1)
        hidden_BTD = self.trunk(input_ids=inputs_BT, use_cache=False).last_hidden_state
        values_BT1: Tensor = self.head(hidden_BTD)
        return values_BT1.squeeze(-1)


class Batch(NamedTuple):
    """Sequences of the policy as it was, and what is learned from them."""

    tokens_BT: Int[Tensor, "B T"]
    mask_BT: Bool[Tensor, "B T"]
    old_BT: Float[Tensor, "B T"]
    """Log-probabilities when they were sampled."""
    advantages: Float[Tensor, "B ..."]
    """One a completion, or, for PPO, one a token."""
    old_values_BT: Float[Tensor, "B T"]
    """PPO's values and their targets; 0 elsewhere."""
    returns_BT: Float[Tensor, "B T"]


class Learner:
    """A policy that begins at its reference, its optimiser and, for PPO, its critic with another.

    Args:
        reference: Frozen, and not changed; the policy is a copy.
        score: What a sequence is worth; asked for sampled ones only.
        algorithm: One of `ALGORITHMS`.
    """

    def __init__(self, reference: PreTrainedModel, score: Score, algorithm: str) -> None:
        if algorithm not in _OBJECTIVES:
            raise ConfigError("there is no such algorithm", expected=", ".join(_OBJECTIVES), found=repr(algorithm))
        self.reference, self.score, self.algorithm = reference, score, algorithm
        self.policy: PreTrainedModel = copy.deepcopy(reference).requires_grad_()
        self.critic = Critic(reference) if algorithm == "ppo" else None
        self.trained = [self.policy] if self.critic is None else [self.policy, self.critic]
        self.optimizers = [
            torch.optim.Adam(module.parameters(), betas=(0.9, 0.95), eps=1e-8) for module in self.trained
        ]

    def practise(self, beta: float, config: LearningConfig) -> None:
        """A stretch of training at one price of KL, from wherever the policy is now.

        Args:
            beta: β, reward units per nat.
            config: Settings.
        """
        sampling = torch.Generator().manual_seed(derive_seed(config.seed, "samples"))
        order = torch.Generator().manual_seed(derive_seed(config.seed, "order"))
        rows_PG = torch.arange(config.prompts * config.group_size).view(config.prompts, config.group_size)
        for iteration in range(config.iterations):
            factor = linear_schedule(iteration, config.iterations, warmup=5, decay_from=config.decay_from)
            for optimizer in self.optimizers:
                set_learning_rate(optimizer, config.learning_rate * factor)
            with torch.no_grad():
                batch = self._roll_out(beta, config, sampling)
            for prompts in torch.randperm(config.prompts, generator=order).chunk(config.minibatches):
                self._step(Batch(*(x[rows_PG[prompts].flatten()] for x in batch)), config)

    def _roll_out(self, beta: float, config: LearningConfig, generator: torch.Generator) -> Batch:
        length = self.policy.config.n_positions
        tokens_BT, old_BT = sample(self.policy, config.prompts * config.group_size, generator, length=length)
        ref_BT, scores_B = read(self.reference, tokens_BT), self.score(tokens_BT).to(old_BT.dtype)
        mask_BT, none_BT = torch.ones_like(tokens_BT, dtype=torch.bool), torch.zeros_like(old_BT)
        if self.critic is not None:
            rewards_BT, values_BT = token_rewards(scores_B, old_BT, ref_BT, mask_BT, beta=beta), self.critic(tokens_BT)
            found = gae(rewards_BT, values_BT, mask_BT, discount=1.0, lam=config.gae_lambda)
            advantages_BT = whiten(found.advantages_BT, mask_BT)
            return Batch(tokens_BT, mask_BT, old_BT, advantages_BT, values_BT, found.returns_BT)
        scores_B = penalised_scores(scores_B, old_BT, ref_BT, mask_BT, beta=beta, penalty=_PENALTY)
        prompts_B = torch.arange(config.prompts).repeat_interleave(config.group_size)
        estimate = leave_one_out_advantages if self.algorithm == "rloo" else centred_advantages
        return Batch(tokens_BT, mask_BT, old_BT, estimate(scores_B, prompts_B).advantages_B, none_BT, none_BT)

    def _step(self, part: Batch, config: LearningConfig) -> None:
        new_BT = read(self.policy, part.tokens_BT)
        _OBJECTIVES[self.algorithm](new_BT, part, config).backward()
        if self.critic is not None:
            values_BT = self.critic(part.tokens_BT)
            clip = config.value_clip
            value_loss(values_BT, part.old_values_BT, part.returns_BT, part.mask_BT, clip=clip).loss.backward()
        for module, optimizer in zip(self.trained, self.optimizers, strict=True):
            optimizer_step(optimizer, dict(module.named_parameters()), max_norm=config.max_grad_norm)


def _ppo(new_BT: Tensor, part: Batch, config: LearningConfig) -> Tensor:
    return policy_loss(new_BT, part.old_BT, part.advantages, part.mask_BT, clip=config.clip).loss


def _rloo(new_BT: Tensor, part: Batch, config: LearningConfig) -> Tensor:
    stale = sequence_importance(new_BT.detach(), part.old_BT, part.mask_BT, cap=config.importance_cap)
    return reinforce_loss(new_BT, part.advantages, part.mask_BT, importance_B=stale.weights_B)


def _grpo(new_BT: Tensor, part: Batch, config: LearningConfig) -> Tensor:
    tokens = part.tokens_BT.shape[1]
    return dr_grpo_loss(new_BT, part.old_BT, part.advantages, part.mask_BT, clip=config.clip, max_tokens=tokens).loss


_OBJECTIVES: Final[dict[str, Callable[[Tensor, Batch, LearningConfig], Tensor]]] = {
    "ppo": _ppo,
    "rloo": _rloo,
    "grpo": _grpo,
}
ALGORITHMS: Final = tuple(_OBJECTIVES)
"""GRPO is Dr. GRPO: without a division by the standard deviation, or by lengths, which are all the same."""
