"""Pretraining: a tokenizer and a base model, from text and a configuration.

reads   text, as strings
writes  a `base` artefact: a model folder that transformers opens
run     palate train pretrain --text FILES
expect  loss falls from ln(vocabulary) to about 1.1 nats a token on 500,000 tokens of practice world

Source: the usual next-token objective, Radford et al. 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.functional.logprobs import token_logprobs
from palate.models import load, tiny
from palate.training.run import linear_schedule, open_run, optimizer_step, set_learning_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Settings of a base model made on the spot."""

    family: str = "llama"
    """`llama`, `gpt2` or `qwen3`."""
    width: int = 128
    """Size of the hidden states."""
    layers: int = 3
    """Transformer blocks."""
    heads: int = 4
    """Attention heads."""
    context: int = 256
    """Longest sequence the model will take, in tokens."""
    tokenizer: str = "bpe"
    """`bpe`, or `words` for tiny worlds."""
    vocab_size: int = 2048
    """Largest vocabulary, 256 bytes and special tokens included."""
    lowercase: bool = False
    """Fold case in the tokenizer."""
    epochs: float = 1.0
    """How often the text is read."""
    batch_size: int = 8
    """Sequences in an optimiser step."""
    block_tokens: int = 128
    """Tokens in a sequence."""
    learning_rate: float = 3e-3
    """Peak, AdamW."""
    warmup_steps: int = 20
    """Steps until the peak."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of weights and order."""

    def __post_init__(self) -> None:
        if self.block_tokens > self.context:
            raise ConfigError(
                "--block-tokens does not fit into --context",
                found=f"{self.block_tokens} and {self.context}",
                hint="lower --block-tokens",
            )


def train(
    config: PretrainConfig,
    texts: Sequence[str],
    workspace: Workspace,
    *,
    tokenizer_texts: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Path:
    """Make a tokenizer and a base model.

    Args:
        config: Settings.
        texts: Documents; each is followed by the end token.
        workspace: Where the artefact goes.
        tokenizer_texts: More text for the tokenizer alone, such as the words of later stages.
        progress: Who listens.

    Returns:
        The folder of the `base` artefact.

    Raises:
        DataError: there is not enough text for one batch.
    """
    source = f"text-{content_id('text', [*texts, *tokenizer_texts])}"
    run = open_run(workspace, "base", "train pretrain", config, {"text": source}, progress)
    if run.done:
        return run.done
    tokenizer = tiny.train_tokenizer(
        [*texts, *tokenizer_texts], vocab_size=config.vocab_size, kind=config.tokenizer, lowercase=config.lowercase
    )
    rows = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(list(texts))["input_ids"]]
    blocks = _blocks(rows, config)
    if len(blocks) < config.batch_size:
        raise DataError(
            "there is too little text for one batch",
            expected=f"at least {config.batch_size * (config.block_tokens + 1)} tokens",
            found=f"{sum(map(len, rows))} tokens",
            hint="give more text, or lower --batch-size or --block-tokens",
        )
    model = tiny.make_model(
        tokenizer,
        family=config.family,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        context=config.context,
        seed=derive_seed(config.seed, "weights"),
    ).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    per_epoch = len(blocks) // config.batch_size
    total = max(int(per_epoch * config.epochs), 1)
    progress.start("pretraining", total)
    for step in range(total):
        if step % per_epoch == 0:
            generator = torch.Generator().manual_seed(derive_seed(config.seed, "order", step // per_epoch))
            order = torch.randperm(len(blocks), generator=generator)
        begin = step % per_epoch * config.batch_size
        tokens_BL = blocks[order[begin : begin + config.batch_size]]
        factor = linear_schedule(step, total, warmup=config.warmup_steps, decay_from=0.3)
        set_learning_rate(optimizer, config.learning_rate * factor)
        logits = model(input_ids=tokens_BL[:, :-1], use_cache=False).logits
        loss = -token_logprobs(logits, tokens_BL[:, 1:]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
        run.log(step + 1, {"loss": loss.item(), "gradient_norm": norm})
    model.eval()
    folder = run.finish(
        lambda path: load.save(path, model, tokenizer),
        {"tokens": total * config.batch_size * config.block_tokens, "vocabulary": len(tokenizer)},
    )
    progress.finish(f"loss {run.last['loss']:.2f} nats a token after {total} steps")
    return folder


def _blocks(rows: list[list[int]], config: PretrainConfig) -> Tensor:
    """Documents end to end, cut into blocks that overlap by one token; the rest is left out."""
    stream = torch.tensor([token for row in rows for token in row])
    size = config.block_tokens
    count = (len(stream) - 1) // size
    return torch.stack([stream[i * size : (i + 1) * size + 1] for i in range(count)]) if count else stream[:0]
