"""DPO: the policy learns from preferences directly; the reward model is implicit.

reads   an SFT policy (also the frozen reference), preferences
writes  a `policy` artefact and its metrics
run     palate train dpo --model SFT --data PREFERENCES
expect  loss begins at ln 2 = 0.693, exactly, because policy and reference are one

Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7. Log-probs are summed over the completion's
tokens, end token included; soft labels give the conservative variant of eq. 3 in Mitchell 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from palate.core.artefacts import Workspace, identify
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.functional.dpo import dpo_loss
from palate.models import load
from palate.models.batch import by_length, completion_logprobs, logprobs_of, pad
from palate.training.pairs import Pair, decided, encode, encode_some, identity, judge_heldout
from palate.training.run import (
    linear_schedule,
    longest_row,
    open_run,
    optimizer_step,
    refuse_unless_positive,
    set_learning_rate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DPOConfig:
    """Settings of DPO."""

    beta: float = 0.1
    """Strength of the leash to the reference, per nat of the summed log-ratio."""
    epochs: int = 1
    """How often each preference is seen."""
    batch_size: int = 16
    """Preferences in an optimiser step."""
    learning_rate: float = 1e-6
    """Peak, Adam. Tiny models want 2e-4."""
    warmup_steps: int = 10
    """Steps until the peak."""
    max_tokens: int = 1024
    """Longest prompt and completion together, at most the model's context; longer preferences are left out
    and counted."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of the order."""

    def __post_init__(self) -> None:
        refuse_unless_positive(self, "beta", "epochs", "batch_size", "learning_rate", "max_tokens")


def train(
    config: DPOConfig,
    model: Path | str,
    preferences: Sequence[Preference],
    workspace: Workspace,
    *,
    heldout: Sequence[Preference] = (),
    data_id: str = "",
    progress: Progress = SILENT,
) -> Path:
    """Train a policy on preferences.

    Args:
        config: Settings.
        model: Folder of the SFT model: the frozen reference, and the policy to begin with.
        preferences: What to learn from.
        workspace: Where the artefact goes.
        heldout: Preferences on other prompts, for the accuracy of the implicit reward; `heldout.jsonl` in the
            run's folder says what became of each.
        data_id: Artefact id of the data, for the manifest; computed when empty.
        progress: Who listens.

    Returns:
        The folder of the `policy` artefact.

    Raises:
        DataError: there is nothing to learn from.
        ModelError: the folder holds no usable causal model.
    """
    data_id = data_id or identity(preferences)
    run = open_run(workspace, "policy", "train dpo", config, {"reference": identify(model), "data": data_id}, progress)
    if run.done:
        return run.done
    policy, tokenizer = load.load_causal(model)
    limit = longest_row(policy, config.max_tokens)
    encoded = encode_some(tokenizer, preferences, limit)
    pairs, unseen = encoded.rows, decided(encode(tokenizer, heldout, limit).rows)
    progress.start("log-probabilities of the reference", 1)
    reference = _summed(policy, pairs, tokenizer.pad_token_id)
    reference_unseen = _summed(policy, unseen, tokenizer.pad_token_id)
    parameters = list(policy.parameters())
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, betas=(0.9, 0.95))
    total, step = config.epochs * -(-len(pairs) // config.batch_size), 0
    progress.start("DPO", total)
    for epoch in range(config.epochs):
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "order", epoch))
        order = torch.randperm(len(pairs), generator=generator).tolist()
        for begin in range(0, len(order), config.batch_size):
            rows = order[begin : begin + config.batch_size]
            factor = linear_schedule(step, total, warmup=config.warmup_steps, decay_from=0.3)
            set_learning_rate(optimizer, config.learning_rate * factor)
            facts = _backward(policy, pairs, rows, reference, config, tokenizer.pad_token_id)
            facts["gradient_norm"] = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
            step += 1
            run.log(step, facts)
    found = judge_heldout(
        run.folder, unseen, _margins(policy, unseen, reference_unseen, config, tokenizer.pad_token_id)
    )
    folder = run.finish(lambda path: load.save(path, policy, tokenizer), encoded.counts | found.facts)
    progress.finish(f"loss {run.last['loss']:.2f} on {encoded.sentence}{found.sentence}")
    return folder


def _summed(policy: PreTrainedModel, pairs: Sequence[Pair], pad_id: int) -> Tensor:
    """Summed log-probs (chosen, rejected) under the policy as it is; shape (N, 2), no gradient."""
    if not pairs:
        return torch.zeros(0, 2)
    sums = [
        torch.stack([row.sum() for row in completion_logprobs(policy, [p.prompt for p in pairs], side, pad_id=pad_id)])
        for side in ([p.chosen for p in pairs], [p.rejected for p in pairs])
    ]
    return torch.stack(sums, dim=1)


def _margins(
    policy: PreTrainedModel, pairs: Sequence[Pair], reference: Tensor, config: DPOConfig, pad_id: int
) -> Tensor:
    """Implicit score of each pair's chosen side minus that of the rejected one."""
    now = _summed(policy, pairs, pad_id)
    return dpo_loss(now[:, 0], now[:, 1], reference[:, 0], reference[:, 1], beta=config.beta).margins_N


def _backward(
    policy: PreTrainedModel,
    pairs: Sequence[Pair],
    rows: list[int],
    reference: Tensor,
    config: DPOConfig,
    pad_id: int,
) -> dict[str, float]:
    """Gradient of one step, in parts of like length; how it is parted changes nothing."""
    weight = sum(pairs[i].weight for i in rows)
    facts = {"loss": 0.0, "accuracy": 0.0, "margin": 0.0, "logprob/chosen_change_nats": 0.0}
    for part in by_length([pairs[i].tokens for i in rows], rows=8):
        index = [rows[i] for i in part]
        batch = pad(
            [pairs[i].prompt for i in index] * 2,
            [pairs[i].chosen for i in index] + [pairs[i].rejected for i in index],
            pad_id=pad_id,
        )
        logprobs, mask = logprobs_of(policy, batch)
        chosen, rejected = torch.where(mask, logprobs, 0.0).sum(dim=1).chunk(2)
        result = dpo_loss(
            chosen,
            rejected,
            reference[index, 0],
            reference[index, 1],
            beta=config.beta,
            p_chosen_N=torch.tensor([pairs[i].p_chosen for i in index]),
            weights_N=torch.tensor([pairs[i].weight for i in index]),
            denominator=weight,
        )
        result.loss.backward()
        share = len(index) / len(rows)
        facts["loss"] += result.loss.item()
        facts["margin"] += float(result.margins_N.mean()) * share
        facts["accuracy"] += float(result.accuracy) * sum(pairs[i].weight for i in index) / weight
        facts["logprob/chosen_change_nats"] += float((chosen.detach() - reference[index, 0]).mean()) * share
    return facts
