"""Several completions a prompt: settings, sampling and scores that RLOO, GRPO and online DPO have in common.

A group is never cut: the prompts of an iteration are drawn first, each then answered G times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.records import Prompt
from palate.functional.kl_placement import KLPenalty, Placement, penalised_scores
from palate.training.cast import Cast
from palate.training.order import laps
from palate.training.rl_settings import RolloutConfig
from palate.training.rollouts import Rollouts, roll_out
from palate.training.run import refuse_unless_one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig(RolloutConfig):
    """What every recipe that samples groups can be told."""

    group_size: int = 4
    """Completions a prompt."""

    def __post_init__(self) -> None:
        RolloutConfig.__post_init__(self)
        if self.group_size < 2 or self.batch_size % self.group_size:
            raise ConfigError(
                "--batch-size is not a multiple of --group-size, of at least 2",
                found=f"{self.batch_size} and {self.group_size}",
                hint="groups are never cut",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyConfig(GroupConfig):
    """What a recipe with advantages within groups can be told besides: how KL is measured, and where it is paid."""

    kl_estimator: str = "k1"
    """`k1`, `k2` or `k3`."""
    kl_placement: str = "reward"
    """Where the price of KL stands: the `reward`, the `loss`, or the loss times the ratio (`weighted loss`)."""
    kl_level: str = "sequence"
    """Of what the estimate is taken: the whole `sequence`, or each `token`."""
    accept_wrong_optimum: bool = False
    """Allow an estimator in a place where it converges to a wrong policy, to reproduce others."""

    def __post_init__(self) -> None:
        GroupConfig.__post_init__(self)
        refuse_unless_one_of(self, kl_estimator=("k1", "k2", "k3"))
        _ = self.penalty  # refuses what converges to a wrong policy

    @property
    def penalty(self) -> KLPenalty:
        """How the policy is held near the reference."""
        return KLPenalty(
            estimator=self.kl_estimator,  # type: ignore[arg-type]
            placement=self.kl_placement,  # type: ignore[arg-type]
            level=self.kl_level,  # type: ignore[arg-type]
            accept_wrong_optimum=self.accept_wrong_optimum,
        )

    @property
    def in_reward(self) -> bool:
        """Whether the price of KL is taken from the score."""
        return self.penalty.placement is Placement.REWARD


class Asked(NamedTuple):
    """The prompts of an iteration, one a completion."""

    prompts: list[Prompt]
    encoded: list[list[int]]
    groups_B: Tensor
    """Which prompt of the iteration each completion answers."""


def ask(prompts: Sequence[Prompt], encoded: Sequence[list[int]], config: GroupConfig, iteration: int) -> Asked:
    """The next prompts, each so often as a group is large."""
    count = config.rollouts // config.group_size
    chosen = laps(len(prompts), iteration * count, count, config.seed)
    rows = [i for i in chosen for _ in range(config.group_size)]
    groups_B = torch.arange(count).repeat_interleave(config.group_size)
    return Asked([prompts[i] for i in rows], [encoded[i] for i in rows], groups_B)


def roll_out_groups(cast: Cast, config: GroupConfig, asked: Asked, iteration: int) -> Rollouts:
    """Completions of an iteration."""
    seed = derive_seed(config.seed, "rollouts", iteration)
    return roll_out(cast, config, asked.prompts, asked.encoded, seed=seed, iteration=iteration)


class Learnable(NamedTuple):
    """What of an iteration is learned from."""

    rows: Tensor
    """Indices of the completions."""
    scores: Tensor
    """One each, the price of KL taken off if it stands in the reward."""
    groups: Tensor
    """Their prompts."""


def comparable(rollouts: Rollouts, groups_B: Tensor, config: GroupConfig) -> Tensor:
    """Indices of completions with a score, and an end if that is asked for, that have another to be held against."""
    counts_B = rollouts.scored_B & rollouts.finished_B if config.missing_eos == "mask" else rollouts.scored_B
    sizes = torch.zeros(int(groups_B.max()) + 1, dtype=torch.long).index_add_(0, groups_B, counts_B.long())
    return (counts_B & (sizes[groups_B] > 1)).nonzero()[:, 0]


def learnable(rollouts: Rollouts, trained_B: Tensor, groups_B: Tensor, config: PenaltyConfig, beta: float) -> Learnable:
    """What is `comparable`, with its scores.

    Args:
        rollouts: What was sampled.
        trained_B: Its scores, with what a completion without an end gets; NaN where there is none.
        groups_B: Which prompt each answers.
        config: Where the price of KL stands.
        beta: Price of a nat.
    """
    rows = comparable(rollouts, groups_B, config)
    scores = trained_B[rows]
    if config.in_reward and len(rows):
        scores = penalised_scores(
            scores,
            rollouts.logprobs_BT[rows],
            rollouts.ref_logprobs_BT[rows],
            rollouts.mask_BT[rows],
            beta=beta,
            penalty=config.penalty,
        )
    return Learnable(rows, scores, groups_B[rows])


def batch_of(order: Sequence[int], part: int, config: GroupConfig) -> list[int]:
    """The completions of an optimiser step: whole groups, in the order given."""
    groups = config.batch_size // config.group_size
    chosen = order[part * groups : (part + 1) * groups]
    return [group * config.group_size + member for group in chosen for member in range(config.group_size)]
