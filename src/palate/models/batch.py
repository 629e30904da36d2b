"""Rows of token ids to tensors, and log-probs of completions under a model.

Shapes: B sequences, L = P + T prompt and completion tokens, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedModel

from palate.models.flat.tree import groups_of
from palate.models.layout import lay, logprobs


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


def by_length(lengths: Sequence[int], *, rows: int) -> list[list[int]]:
    """Indices in groups of at most `rows`, rows of like length together, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def by_prompt(
    prompts: Sequence[Sequence[int]], lengths: Sequence[int], *, rows: int, tokens: int = 0, sides: int = 1
) -> list[list[int]]:
    """As `by_length`, but rows with the same prompt stay together, for a layout that computes it once.

    Args:
        prompts: Token ids, one a row.
        lengths: Tokens of prompt and completion; of the longest where a row has several.
        rows: Most rows of a group; those of one prompt are parted only if there are more.
        tokens: Most tokens of a group, a prompt counted once; 0 sets no limit, and a single bundle may have more.
        sides: Completions of a row.
    """
    bundles = []
    for group in groups_of(prompts):
        order = sorted(group.rows, key=lambda row: (lengths[row], row))
        bundles += [order[start : start + rows] for start in range(0, len(order), rows)]
    result: list[list[int]] = []
    held = 0
    for bundle in sorted(bundles, key=lambda bundle: (lengths[bundle[-1]], bundle)):
        prompt = len(prompts[bundle[0]])
        size = prompt + sides * sum(lengths[row] - prompt for row in bundle)
        if not result or len(result[-1]) + len(bundle) > rows or (tokens and held + size > tokens):
            result.append([])
            held = 0
        result[-1] += bundle
        held += size
    return result


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
        for group in by_prompt(prompts, lengths, rows=rows):
            some = [prompts[i] for i in group], [completions[i] for i in group]
            laid = lay(*some, pad_id=pad_id, layout="shared", device=model.device)
            found_BT = logprobs(model, laid, temperature=temperature)
            for row, index in enumerate(group):
                result[index] = found_BT[row, : len(completions[index])].clone()
    return [row for row in result if row is not None]
