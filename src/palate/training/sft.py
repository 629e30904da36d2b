"""Supervised fine-tuning: the model learns the shape of an answer from demonstrations.

reads   a causal model folder; demonstrations
writes  a `policy` artefact and its metrics; the frozen copy is the reference of later stages
run     palate train sft --model DIR --data DEMONSTRATIONS
expect  held-out loss falls; only completion tokens count, the end token among them

Source: Ouyang et al. 2022, arXiv:2203.02155, section 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from palate.core.artefacts import Workspace, identify
from palate.core.errors import DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration
from palate.functional.masked import masked_mean
from palate.models import batch as rows
from palate.models import chat, load
from palate.training.run import (
    linear_schedule,
    longest_row,
    open_run,
    optimizer_step,
    refuse_unless_positive,
    set_learning_rate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTConfig:
    """Settings of supervised fine-tuning."""

    epochs: int = 2
    """How often each demonstration is seen."""
    batch_size: int = 16
    """Demonstrations in an optimiser step."""
    learning_rate: float = 2e-5
    """Peak, AdamW. 2e-5 suits models of a billion parameters; tiny ones want 1e-3."""
    warmup_steps: int = 10
    """Steps until the peak."""
    max_tokens: int = 1024
    """Longest prompt and completion together, at most the model's context; longer demonstrations are left out
    and counted."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of the order."""

    def __post_init__(self) -> None:
        refuse_unless_positive(self, "epochs", "batch_size", "learning_rate", "max_tokens")


class Example(NamedTuple):
    """A demonstration as tokens."""

    prompt: list[int]
    completion: list[int]


def train(
    config: SFTConfig,
    model: Path | str,
    demonstrations: Sequence[Demonstration],
    workspace: Workspace,
    *,
    heldout: Sequence[Demonstration] = (),
    data_id: str = "",
    progress: Progress = SILENT,
) -> Path:
    """Fine-tune a causal model on demonstrations.

    Args:
        config: Settings.
        model: Folder of a causal model.
        demonstrations: What to learn.
        workspace: Where the artefact goes.
        heldout: Demonstrations for the held-out loss, never trained on.
        data_id: Artefact id of the data, for the manifest; computed when empty.
        progress: Who listens.

    Returns:
        The folder of the `policy` artefact.

    Raises:
        DataError: nothing is left to train on.
        ModelError: the folder holds no usable causal model.
    """
    data_id = data_id or f"demonstrations-{content_id('data', [d.id for d in demonstrations])}"
    inputs = {"model": identify(model), "data": data_id}
    run = open_run(workspace, "policy", "train sft", config, inputs, progress)
    if run.done:
        return run.done
    policy, tokenizer = load.load_causal(model)
    limit = longest_row(policy, config.max_tokens)
    kept = _encode(tokenizer, demonstrations, limit)
    if not kept:
        raise DataError(
            "there is no demonstration to learn from",
            expected=f"demonstrations of at most {limit} tokens",
            found=f"{len(demonstrations)} demonstrations, all too long" if demonstrations else "none",
        )
    parameters = list(policy.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    per_epoch = -(-len(kept) // config.batch_size)
    total, step = per_epoch * config.epochs, 0
    progress.start("supervised fine-tuning", total)
    for epoch in range(config.epochs):
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "order", epoch))
        order = torch.randperm(len(kept), generator=generator).tolist()
        for begin in range(0, len(kept), config.batch_size):
            group = [kept[i] for i in order[begin : begin + config.batch_size]]
            factor = linear_schedule(step, total, warmup=config.warmup_steps, decay_from=0.3)
            set_learning_rate(optimizer, config.learning_rate * factor)
            padded = rows.pad([e.prompt for e in group], [e.completion for e in group], pad_id=tokenizer.pad_token_id)
            loss = -masked_mean(*rows.logprobs_of(policy, padded))
            loss.backward()
            norm = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
            step += 1
            run.log(step, {"loss": loss.item(), "gradient_norm": norm})
    facts: dict[str, float] = {"demonstrations": len(kept), "too_long": len(demonstrations) - len(kept)}
    unseen = _encode(tokenizer, heldout, limit)
    if unseen:
        facts |= {"heldout_loss": _loss(policy, unseen, tokenizer.pad_token_id), "heldout_demonstrations": len(unseen)}
    folder = run.finish(lambda path: load.save(path, policy, tokenizer), facts)
    progress.finish(f"loss {run.last['loss']:.2f} nats a token, {len(kept)} demonstrations")
    return folder


def _encode(tokenizer: PreTrainedTokenizerBase, demonstrations: Sequence[Demonstration], limit: int) -> list[Example]:
    """Those of at most `limit` tokens."""
    examples = [
        Example(chat.encode_prompt(tokenizer, d.prompt), chat.encode_completion(tokenizer, d.completion))
        for d in demonstrations
    ]
    return [e for e in examples if len(e.prompt) + len(e.completion) <= limit]


def _loss(policy: PreTrainedModel, examples: Sequence[Example], pad_id: int) -> float:
    """Mean loss a completion token."""
    logprobs = rows.completion_logprobs(
        policy, [e.prompt for e in examples], [e.completion for e in examples], pad_id=pad_id
    )
    return float(-torch.cat(logprobs).mean())
