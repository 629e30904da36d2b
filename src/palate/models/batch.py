"""Rows of token ids to tensors, and log-probs of completions under a model.

Shapes: B sequences, L = P + T prompt and completion tokens, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from palate.functional.logprobs import token_logprobs


class Batch(NamedTuple):
    """Prompts and completions side by side, padded on the right."""

    tokens_BL: Int[Tensor, "B L"]
    mask_completion_BL: Bool[Tensor, "B L"]
    """True on completion tokens, the end token included."""
    mask_real_BL: Bool[Tensor, "B L"]
    """True on everything that is not padding."""


def pad(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], *, pad_id: int) -> Batch:
    """Put rows of different lengths into one tensor.

    Causal attention never looks right, so padding on the right changes no real position and needs
    no attention mask.
    """
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    width = max(lengths)
    tokens_BL = torch.full((len(lengths), width), pad_id, dtype=torch.long)
    mask_completion_BL = torch.zeros_like(tokens_BL, dtype=torch.bool)
    mask_real_BL = torch.zeros_like(tokens_BL, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        start, end = len(prompt), lengths[row]
        tokens_BL[row, :end] = torch.tensor([*prompt, *completion])
        mask_completion_BL[row, start:end] = True
        mask_real_BL[row, :end] = True
    return Batch(tokens_BL, mask_completion_BL, mask_real_BL)


def logprobs_of(
    model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0
) -> tuple[Float[Tensor, "B L-1"], Bool[Tensor, "B L-1"]]:
    """Log-probability of each token given those before it, and where it counts.

    Args:
        model: A causal model.
        batch: Padded on the right.
        temperature: The one that the completions were sampled at.

    Returns:
        `(logprobs, mask)`, both of shape (B, L - 1): entry `i` belongs to token `i + 1`; the mask
        is True on completion tokens.
    """
    logits = model(input_ids=batch.tokens_BL, use_cache=False).logits[:, :-1]
    if temperature != 1.0:
        logits = logits / temperature
    return token_logprobs(logits, batch.tokens_BL[:, 1:]), batch.mask_completion_BL[:, 1:]


def by_length(lengths: Sequence[int], *, rows: int) -> list[list[int]]:
    """Indices in groups of at most `rows`, rows of like length together, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def completion_logprobs(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad_id: int,
    rows: int = 64,
    temperature: float = 1.0,
) -> list[Tensor]:
    """Log-probs of each completion's tokens, without gradient, one tensor of length T a row."""
    result: list[Tensor | None] = [None] * len(prompts)
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    with torch.inference_mode():
        for group in by_length(lengths, rows=rows):
            batch = pad([prompts[i] for i in group], [completions[i] for i in group], pad_id=pad_id)
            logprobs, _ = logprobs_of(model, batch, temperature=temperature)
            for row, index in enumerate(group):
                start = len(prompts[index]) - 1
                result[index] = logprobs[row, start : start + len(completions[index])].clone()
    return [row for row in result if row is not None]
