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
from palate.training.run import linear_schedule, open_run, optimizer_step, set_learning_rate


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
    """Longest prompt and completion together; longer demonstrations are left out and counted."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of the order."""


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
    examples = [_encode(tokenizer, d) for d in demonstrations]
    kept = [e for e in examples if len(e[0]) + len(e[1]) <= config.max_tokens]
    if not kept:
        raise DataError(
            "there is no demonstration to learn from",
            expected=f"demonstrations of at most {config.max_tokens} tokens",
            found=f"{len(examples)} demonstrations, all too long" if examples else "none",
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
            padded = rows.pad([e[0] for e in group], [e[1] for e in group], pad_id=tokenizer.pad_token_id)
            loss = -masked_mean(*rows.logprobs_of(policy, padded))
            loss.backward()
            norm = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
            step += 1
            run.log(step, {"loss": loss.item(), "gradient_norm": norm})
    facts: dict[str, float] = {"demonstrations": len(kept), "too_long": len(examples) - len(kept)}
    if heldout:
        facts["heldout_loss"] = _loss(policy, tokenizer, heldout, config)
    folder = run.finish(lambda path: load.save(path, policy, tokenizer), facts)
    progress.finish(f"loss {run.last['loss']:.2f} nats a token, {len(kept)} demonstrations")
    return folder


def _encode(tokenizer: PreTrainedTokenizerBase, d: Demonstration) -> tuple[list[int], list[int]]:
    return chat.encode_prompt(tokenizer, d.prompt), chat.encode_completion(tokenizer, d.completion)


def _loss(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    demonstrations: Sequence[Demonstration],
    config: SFTConfig,
) -> float:
    """Mean loss a completion token on held-out demonstrations."""
    examples = [_encode(tokenizer, d) for d in demonstrations]
    examples = [e for e in examples if len(e[0]) + len(e[1]) <= config.max_tokens]
    logprobs = rows.completion_logprobs(
        policy, [e[0] for e in examples], [e[1] for e in examples], pad_id=tokenizer.pad_token_id
    )
    return float(-torch.cat(logprobs).mean()) if logprobs else 0.0
