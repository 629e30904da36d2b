"""PPO against a learned reward: sample, score, estimate advantages, take clipped steps, repeat.

reads   an SFT policy (also the frozen reference), a reward model, prompts
writes  a `policy` artefact; in the run's folder `metrics.jsonl`, and `samples.jsonl` with every
        completion of every iteration, so that others can judge the run afterwards
run     palate train ppo --model SFT --reward REWARD --data PROMPTS
expect  iteration 0: ratio = 1 and KL = 0 within 1e-4 a token, or the run stops

The reward of a token is -beta * (log pi - log ref) (k1, in the reward, not in the loss), plus the
score on the last token. Advantages are GAE, whitened over the iteration.

Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7; Ziegler et al. 2019, arXiv:1909.08593;
Huang et al. 2024, arXiv:2403.17031 (the details that decide).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from palate.core.artefacts import Workspace, identify
from palate.core.errors import ConfigError, DataError, TrainingError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.functional.gae import gae
from palate.functional.kl import adaptive_coefficient
from palate.functional.masked import whiten
from palate.functional.ppo import policy_loss, value_loss
from palate.functional.rewards import token_rewards
from palate.models import load
from palate.models.batch import by_length, logprobs_of, pad
from palate.models.heads import PooledRewardModel
from palate.training.critic import ModelCritic, RidgeCritic, stack_rows_grad
from palate.training.rollouts import (
    Models,
    Rollouts,
    prompts_that_fit,
    prove_reference,
    roll_out,
    rollout_facts,
    same_weights,
    write_samples,
)
from palate.training.run import (
    linear_schedule,
    open_run,
    optimizer_step,
    refuse_unless_positive,
    set_learning_rate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig:
    """Settings of PPO."""

    iterations: int = 36
    """Rounds of sampling and learning."""
    rollouts: int = 96
    """Completions in an iteration."""
    batch_size: int = 32
    """Completions in an optimiser step."""
    epochs: int = 1
    """Passes over an iteration's completions."""
    learning_rate: float = 1e-6
    """Of Adam, straight down over the last 40 %. Tiny models want 4e-4."""
    beta: float = 0.1
    """Price of one nat of KL to the reference, in standard deviations of the score."""
    kl_target_nats: float = 0.0
    """Above 0, beta adapts so that the KL per completion settles here."""
    kl_horizon: int = 5000
    """Completions over which an adaptive beta moves."""
    clip: float = 0.2
    """The ratio of new to old probability is held within 1 - clip and 1 + clip."""
    value_clip: float = 0.2
    """Values of a model critic move at most this far, in reward units."""
    discount: float = 1.0
    """A token is no unit of time; below 1, short answers are preferred."""
    gae_lambda: float = 0.95
    """0 trusts the critic, 1 the sampled return."""
    critic: str = "model"
    """`model`: one of its own, begun from the reward model; `ridge`: linear on frozen states."""
    critic_learning_rate: float = 1e-5
    """Of a model critic."""
    missing_eos: str = "penalty"
    """A completion without an end: `penalty` gives it a fixed score, `mask` learns nothing from it."""
    missing_eos_score: float = -1.0
    """That fixed score, from the average of the first iteration (a pooled head's average is 0)."""
    max_new_tokens: int = 128
    """Longest completion; prompts that leave no room for it in the model's context are left out and counted."""
    temperature: float = 1.0
    """Of sampling, and of every log-prob."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of prompts, sampling and order."""

    def __post_init__(self) -> None:
        refuse_unless_positive(
            self, "iterations", "rollouts", "batch_size", "epochs", "learning_rate", "clip", "value_clip",
            "critic_learning_rate", "max_new_tokens", "temperature",
        )  # fmt: skip
        if self.rollouts % self.batch_size:
            raise ConfigError(
                "--rollouts is not a multiple of --batch-size",
                found=f"{self.rollouts} and {self.batch_size}",
                hint=f"try --rollouts {self.batch_size * max(self.rollouts // self.batch_size, 1)}",
            )
        for name, choices in (("critic", ("model", "ridge")), ("missing_eos", ("penalty", "mask"))):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"--{name.replace('_', '-')} has no such choice",
                    expected=" or ".join(choices),
                    found=str(getattr(self, name)),
                )
        for name in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"--{name.replace('_', '-')} cannot be used", expected="0 to 1", found=str(getattr(self, name))
                )
        if self.beta < 0 or (self.kl_target_nats > 0 and self.beta == 0):
            raise ConfigError(
                "--beta cannot be used",
                expected="0 or more, and above 0 when it adapts",
                found=f"--beta {self.beta} --kl-target-nats {self.kl_target_nats}",
            )
        if self.kl_target_nats > 0:  # the controller refuses a horizon that is too short
            adaptive_coefficient(self.beta, 0.0, self.kl_target_nats, self.rollouts, self.kl_horizon)


def train(
    config: PPOConfig,
    model: Path | str,
    reward: Path | str,
    prompts: Sequence[Prompt],
    workspace: Workspace,
    *,
    start: Path | str | None = None,
    data_id: str = "",
    progress: Progress = SILENT,
) -> Path:
    """Optimise a policy against a reward model.

    Args:
        config: Settings.
        model: Folder of the SFT model: the frozen reference, and the policy to begin with.
        reward: Folder of the reward model.
        prompts: What to answer; each is used again once all were.
        workspace: Where the artefact goes.
        start: Another policy to begin with, such as the last round's.
        data_id: Artefact id of the prompts, for the manifest; computed when empty.
        progress: Who listens.

    Returns:
        The folder of the `policy` artefact.

    Raises:
        DataError: there are no prompts, or all are too long.
        TrainingError: the first batch shows that sampler and trainer disagree, or a figure is not
            finite.
    """
    data_id = data_id or f"prompts-{content_id('data', [p.id for p in prompts])}"
    inputs = {"reference": identify(model), "reward": identify(reward), "data": data_id}
    if start is not None:
        inputs["start"] = identify(start)
    run = open_run(workspace, "policy", "train ppo", config, inputs, progress)
    if run.done:
        return run.done
    if not prompts:
        raise DataError("there are no prompts to answer", expected="at least one")
    models = _load(config, model, reward, start)
    prompts, encoded, too_long = prompts_that_fit(models, prompts, config.max_new_tokens)
    parameters = list(models.policy.parameters())
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, betas=(0.9, 0.95), eps=1e-8)
    beta = config.beta
    progress.start("PPO", config.iterations)
    with (run.folder / "samples.jsonl").open("w", encoding="utf-8") as samples:
        for iteration in range(config.iterations):
            chosen = _prompts_of(iteration, len(prompts), config)
            rollouts = roll_out(
                models,
                [encoded[i] for i in chosen],
                max_new_tokens=config.max_new_tokens,
                temperature=config.temperature,
                seed=derive_seed(config.seed, "rollouts", iteration),
            )
            facts = {"beta": beta}
            if iteration == 0 and start is None:
                facts |= prove_reference(rollouts)
            if iteration == 0 and not isinstance(models.reward, PooledRewardModel):
                models = models._replace(average_score=float(rollouts.scores_B.mean()))
            factor = linear_schedule(iteration, config.iterations, warmup=1, decay_from=0.6)
            set_learning_rate(optimizer, config.learning_rate * factor)
            facts |= learn(models, optimizer, parameters, rollouts, config, iteration, beta)
            facts |= rollout_facts(rollouts)
            trained_B = trained_scores(models, rollouts, config)
            facts["reward/trained_mean"] = float(trained_B.mean())
            write_samples(samples, iteration, [prompts[i] for i in chosen], rollouts, models.tokenizer, trained_B)
            if config.kl_target_nats > 0:
                beta = adaptive_coefficient(
                    beta,
                    facts["kl/policy_reference_nats"],
                    config.kl_target_nats,
                    config.rollouts,
                    config.kl_horizon,
                )
            run.log(iteration + 1, facts)
    folder = run.finish(
        lambda path: load.save(path, models.policy, models.tokenizer),
        {"average_score": models.average_score, "prompts": len(prompts), "prompts_too_long": too_long},
    )
    progress.finish(
        f"score {run.last['reward/score_mean'] - models.average_score:+.2f} from the average at first, "
        f"{run.last['kl/policy_reference_nats']:.1f} nats from the reference"
        + (f"; {too_long} prompts were too long" if too_long else "")
    )
    return folder


def _load(config: PPOConfig, model: Path | str, reward: Path | str, start: Path | str | None) -> Models:
    reference, tokenizer = load.load_causal(model)
    policy = load.load_causal(start or model).model
    scorer = load.load_reward(reward).model
    for frozen in (reference, scorer):
        frozen.requires_grad_(False)
    pooled = isinstance(scorer, PooledRewardModel)
    critic: RidgeCritic | ModelCritic
    if config.critic == "ridge":
        critic = RidgeCritic(reference.config.hidden_size)
    else:
        critic = ModelCritic(
            model if pooled else reward,
            is_reward=not pooled,
            learning_rate=config.critic_learning_rate,
            clip=config.value_clip,
        )
    shares = pooled and same_weights(scorer.trunk, reference)
    return Models(policy, reference, scorer, critic, tokenizer, shares)


def _prompts_of(iteration: int, count: int, config: PPOConfig) -> list[int]:
    """Prompts of an iteration: every prompt once before any comes again, in a new order each time."""
    chosen: list[int] = []
    for position in range(iteration * config.rollouts, (iteration + 1) * config.rollouts):
        lap, place = divmod(position, count)
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "prompts", lap))
        chosen.append(int(torch.randperm(count, generator=generator)[place]))
    return chosen


def trained_scores(models: Models, rollouts: Rollouts, config: PPOConfig) -> Tensor:
    """Scores, with what a completion without an end gets. Only from an average is it a penalty."""
    if config.missing_eos == "mask":
        return rollouts.scores_B
    return torch.where(rollouts.finished_B, rollouts.scores_B, models.average_score + config.missing_eos_score)


def learn(
    models: Models,
    optimizer: torch.optim.Optimizer,
    parameters: list[torch.nn.Parameter],
    rollouts: Rollouts,
    config: PPOConfig,
    iteration: int,
    beta: float,
) -> dict[str, float]:
    """One iteration's optimiser steps on policy and critic."""
    scores_B, mask_BT = trained_scores(models, rollouts, config), rollouts.mask_BT
    rewards_BT = token_rewards(scores_B, rollouts.logprobs_BT, rollouts.ref_logprobs_BT, mask_BT, beta=beta)
    if config.missing_eos == "mask":
        mask_BT = mask_BT & rollouts.finished_B[:, None]
    advantages_BT, returns_BT = gae(
        rewards_BT, rollouts.values_BT, mask_BT, discount=config.discount, lam=config.gae_lambda
    )
    advantages_BT = whiten(advantages_BT, mask_BT)
    facts: dict[str, list[float]] = {}
    for epoch in range(config.epochs):
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "order", iteration, epoch))
        order = torch.randperm(len(rollouts.prompts), generator=generator).tolist()
        for begin in range(0, len(order), config.batch_size):
            rows = order[begin : begin + config.batch_size]
            first = iteration == 0 and not facts  # nothing has been updated yet
            step = _step(
                models,
                parameters,
                optimizer,
                rollouts,
                rows,
                advantages_BT,
                returns_BT,
                mask_BT,
                config,
                first,
            )
            for name, value in step.items():
                facts.setdefault(name, []).append(value)
    result = {name: sum(values) / len(values) for name, values in facts.items()}
    values_BT = rollouts.values_BT
    explained = value_loss(values_BT, values_BT, returns_BT, mask_BT, clip=config.value_clip).explained_variance
    if math.isfinite(explained):  # returns that do not vary leave nothing to explain
        result["critic/explained_variance"] = float(explained)
    if isinstance(models.critic, RidgeCritic):
        models.critic.fit(rollouts.hidden_BTD, returns_BT, mask_BT)
    return result


def _step(
    models: Models,
    parameters: list[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    rollouts: Rollouts,
    rows: list[int],
    advantages_BT: Tensor,
    returns_BT: Tensor,
    mask_BT: Tensor,
    config: PPOConfig,
    first: bool,
) -> dict[str, float]:
    """One optimiser step on some rows, in parts of like length; how it is parted changes nothing."""
    if not mask_BT[rows].any():
        return {}
    tokens = float(mask_BT[rows].sum())
    totals = {"loss/policy": 0.0, "clip/fraction": 0.0, "kl/old_new_nats": 0.0}
    lengths = [len(rollouts.prompts[i]) + len(rollouts.completions[i]) for i in rows]
    for part in by_length(lengths, rows=16):
        index = [rows[i] for i in part]
        if not mask_BT[index].any():
            continue
        batch = pad(
            [rollouts.prompts[i] for i in index],
            [rollouts.completions[i] for i in index],
            pad_id=models.tokenizer.pad_token_id,
        )
        full, _ = logprobs_of(models.policy, batch, temperature=config.temperature)
        width = max(len(rollouts.completions[i]) for i in index)
        new = stack_rows_grad(full, [len(rollouts.prompts[i]) - 1 for i in index], width)
        mask = mask_BT[index, :width]
        result = policy_loss(
            new,
            rollouts.logprobs_BT[index, :width],
            advantages_BT[index, :width],
            mask,
            clip=config.clip,
            denominator=tokens,
        )
        if first:
            _prove_ratio(float(result.max_ratio_error))
        result.loss.backward()
        share = float(mask.sum()) / tokens
        totals["loss/policy"] += result.loss.item()
        totals["clip/fraction"] += float(result.clip_fraction) * share
        totals["kl/old_new_nats"] += float(result.old_new_kl) * share
    totals["gradient_norm"] = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
    if isinstance(models.critic, ModelCritic):
        totals |= _critic_step(models, rollouts, rows, returns_BT, mask_BT, config)
    return totals


def _critic_step(
    models: Models,
    rollouts: Rollouts,
    rows: list[int],
    returns_BT: Tensor,
    mask_BT: Tensor,
    config: PPOConfig,
) -> dict[str, float]:
    assert isinstance(models.critic, ModelCritic)
    batch = pad(
        [rollouts.prompts[i] for i in rows],
        [rollouts.completions[i] for i in rows],
        pad_id=models.tokenizer.pad_token_id,
    )
    width = batch.tokens_BL.shape[1] - 1
    old, returns = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, i in enumerate(rows):
        count = len(rollouts.completions[i])
        where = slice(len(rollouts.prompts[i]) - 1, len(rollouts.prompts[i]) - 1 + count)
        old[row, where] = rollouts.values_BT[i, :count]
        returns[row, where] = returns_BT[i, :count]
        mask[row, where] = mask_BT[i, :count]
    step = models.critic.step(batch, old, returns, mask, max_norm=config.max_grad_norm)
    return {"loss/value": step.loss, "clip/value_fraction": step.clip_fraction}


def _prove_ratio(error: float) -> None:
    if error > 1e-4:
        raise TrainingError(
            "the trainer does not agree with the sampler on the first batch",
            expected="new probability / old probability = 1 within 1e-4",
            found=f"off by {error:.2e}",
            hint="dropout must be off, and temperature and precision the same in both",
        )
