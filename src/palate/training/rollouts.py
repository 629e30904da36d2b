"""Rollouts: what the policy answers in one iteration, and all that others know of it.

Shapes: B completions, T completion tokens, L prompt and completion, D features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from palate.core.errors import DataError, TrainingError
from palate.core.records import Prompt
from palate.models import chat, sampling, scoring
from palate.models.batch import by_length, logprobs_of, pad
from palate.training.critic import ModelCritic, RidgeCritic, stack_rows
from palate.training.run import longest_row


class Rollouts(NamedTuple):
    """One iteration's completions and all that is known of them. Rows are right-padded to T."""

    prompts: list[list[int]]
    completions: list[list[int]]
    scores_B: Tensor
    finished_B: Tensor
    mask_BT: Tensor
    logprobs_BT: Tensor
    """Under the policy that sampled them."""
    ref_logprobs_BT: Tensor
    values_BT: Tensor
    hidden_BTD: Tensor
    """The frozen reference's last hidden state before each token."""


class Models(NamedTuple):
    """Who takes part. The reference is never updated."""

    policy: PreTrainedModel
    reference: PreTrainedModel
    reward: PreTrainedModel
    critic: RidgeCritic | ModelCritic
    tokenizer: PreTrainedTokenizerBase
    shares_trunk: bool
    """The reward model's frozen trunk is the reference, so one pass serves both."""
    average_score: float = 0.0
    """What scores are held against where one has to be made up."""


def prompts_that_fit(
    models: Models, prompts: Sequence[Prompt], max_new_tokens: int
) -> tuple[list[Prompt], list[list[int]], int]:
    """Prompts that leave room for a completion, their tokens, and how many do not.

    Raises:
        DataError: none does.
    """
    room = longest_row(models.policy, 1 << 30) - max_new_tokens
    both = [(prompt, chat.encode_prompt(models.tokenizer, prompt)) for prompt in prompts]
    kept = [(prompt, ids) for prompt, ids in both if len(ids) <= room]
    if not kept:
        raise DataError(
            "no prompt leaves room for a completion",
            expected=f"prompts of at most {max(room, 0)} tokens: the model's context less --max-new-tokens",
            found=f"{len(both)} prompts of at least {min(len(ids) for _, ids in both)} tokens",
            hint="lower --max-new-tokens, or take a model with a longer context",
        )
    return [prompt for prompt, _ in kept], [ids for _, ids in kept], len(both) - len(kept)


def roll_out(
    models: Models, prompts: list[list[int]], *, max_new_tokens: int, temperature: float, seed: int
) -> Rollouts:
    """Sample one completion a prompt, score it, and ask reference and critic about it."""
    sampled = sampling.sample(
        models.policy,
        prompts,
        eos_id=models.tokenizer.eos_token_id,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    completions = [row.tokens for row in sampled]
    width = max(map(len, completions))
    count = len(prompts)
    scores_B = torch.zeros(count)
    ref_rows: list[Tensor] = [torch.empty(0)] * count
    hidden_rows: list[Tensor] = [torch.empty(0)] * count
    value_rows: list[Tensor] = [torch.zeros(len(row)) for row in completions]
    with torch.inference_mode():
        for group in by_length([len(p) + len(c) for p, c in zip(prompts, completions, strict=True)], rows=32):
            batch = pad(
                [prompts[i] for i in group],
                [completions[i] for i in group],
                pad_id=models.tokenizer.pad_token_id,
            )
            if models.shares_trunk and temperature == 1.0:
                scores, ref, hidden = models.reward.score(batch.tokens_BL, batch.mask_completion_BL)
            else:
                scores = scoring.score_batch(models.reward, batch)
                output = models.reference(input_ids=batch.tokens_BL, use_cache=False, output_hidden_states=True)
                ref, _ = logprobs_of(models.reference, batch, temperature=temperature)
                hidden = output.hidden_states[-1][:, :-1]
            scores_B[torch.tensor(group)] = scores.float()
            values = models.critic.values(batch) if isinstance(models.critic, ModelCritic) else None
            for row, i in enumerate(group):
                where = slice(len(prompts[i]) - 1, len(prompts[i]) - 1 + len(completions[i]))
                ref_rows[i], hidden_rows[i] = ref[row, where].clone(), hidden[row, where].clone()
                if values is not None:
                    value_rows[i] = values[row, where].clone()
    hidden_BTD = stack_rows(hidden_rows, width)
    values_BT = (
        models.critic.values(hidden_BTD) if isinstance(models.critic, RidgeCritic) else stack_rows(value_rows, width)
    )
    lengths = torch.tensor([len(row) for row in completions])
    return Rollouts(
        prompts=prompts,
        completions=completions,
        scores_B=scores_B,
        finished_B=torch.tensor([row.finished for row in sampled]),
        mask_BT=torch.arange(width)[None] < lengths[:, None],
        logprobs_BT=stack_rows([torch.tensor(row.logprobs) for row in sampled], width),
        ref_logprobs_BT=stack_rows(ref_rows, width),
        values_BT=values_BT,
        hidden_BTD=hidden_BTD,
    )


def prove_reference(rollouts: Rollouts) -> dict[str, float]:
    """Hold the first batch to a KL of 0.

    Raises:
        TrainingError: policy and reference differ.
    """
    gap = (rollouts.logprobs_BT - rollouts.ref_logprobs_BT).abs()[rollouts.mask_BT].max().item()
    if gap > 1e-4:
        raise TrainingError(
            "policy and reference differ before the first step",
            expected="KL = 0 within 1e-4 nats a token",
            found=f"{gap:.2e} nats",
            hint="the policy must begin as a copy of --model",
        )
    return {"kl/first_batch_max_nats": gap}


def same_weights(one: PreTrainedModel, other: PreTrainedModel) -> bool:
    """Whether two models are one, bit for bit."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def rollout_facts(rollouts: Rollouts) -> dict[str, float]:
    """What the completions of an iteration look like, before anything is learned from them."""
    gap_BT = (rollouts.logprobs_BT - rollouts.ref_logprobs_BT).where(rollouts.mask_BT, torch.tensor(0.0))
    return {
        "kl/policy_reference_nats": float(gap_BT.sum(dim=1).mean()),
        "reward/score_mean": float(rollouts.scores_B.mean()),
        "reward/score_std": float(rollouts.scores_B.std()),
        "response/length_tokens": float(rollouts.mask_BT.sum(dim=1).float().mean()),
        "response/finished_fraction": float(rollouts.finished_B.float().mean()),
    }


def write_samples(
    handle: IO[str],
    iteration: int,
    prompts: Sequence[Prompt],
    rollouts: Rollouts,
    tokenizer: PreTrainedTokenizerBase,
    trained_B: Tensor,
) -> None:
    """A line for each completion: enough for somebody else to judge the run afterwards.

    `score` is the reward model's; `reward` is what PPO was given in its place, before the price of
    KL. They differ for completions without an end.
    """
    gaps = (rollouts.logprobs_BT - rollouts.ref_logprobs_BT).where(rollouts.mask_BT, torch.tensor(0.0)).sum(dim=1)
    for row, prompt in enumerate(prompts):
        line = {
            "iteration": iteration,
            "prompt": prompt.as_dicts(),
            "prompt_id": prompt.id,
            "kind": prompt.kind,
            "completion": chat.decode(tokenizer, rollouts.completions[row]),
            "score": round(float(rollouts.scores_B[row]), 6),
            "reward": round(float(trained_B[row]), 6),
            "kl_nats": round(float(gaps[row]), 6),
            "tokens": len(rollouts.completions[row]),
            "finished": bool(rollouts.finished_B[row]),
        }
        handle.write(json.dumps(line, ensure_ascii=False) + "\n")
    handle.flush()
