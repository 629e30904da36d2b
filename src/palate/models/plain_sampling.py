"""Sample from any causal model with a KV cache, by its own forward pass.

Rows whose prompts are about as long walk through the same positions together: where one prompt is
longer than another, its own tokens are fed instead of sampled ones. So there is no padding on the
left, no attention mask, and any causal model works. Finished rows leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from palate.models.drawing import at_least_single, draw
from palate.models.request import Request, Row

_SPREAD = 8
"""Prompts in one batch differ by at most so many tokens."""
_COMPACT_BELOW = 0.75
"""Finished rows are dropped from the cache when fewer than this share are alive."""


class _ReservedLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer with room for what will come, so that a step copies nothing."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.room = capacity
        self.used = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append in place; return everything so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            rows, heads, _step, size = key_states.shape
            self.room_keys = key_states.new_empty(rows, heads, self.room, size)
            self.room_values = value_states.new_empty(rows, heads, self.room, value_states.shape[-1])
        end = self.used + key_states.shape[-2]
        self.room_keys[:, :, self.used : end] = key_states
        self.room_values[:, :, self.used : end] = value_states
        self.used = end
        self.keys, self.values = self.room_keys[:, :, :end], self.room_values[:, :, :end]
        return self.keys, self.values

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.room_keys, self.room_values = self.room_keys[rows], self.room_values[rows]
        self.keys = self.room_keys[:, :, : self.used]
        self.values = self.room_values[:, :, : self.used]


def _cache(model: PreTrainedModel, capacity: int) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    # A sliding window or a state-space layer keeps its own kind; only plain layers are replaced.
    cache.layers = [_ReservedLayer(capacity) if type(old) is DynamicLayer else old for old in cache.layers]
    return cache


def _keep(cache: DynamicCache, rows: Tensor) -> None:
    for layer in cache.layers:
        if isinstance(layer, _ReservedLayer):
            layer.keep(rows)
        else:
            layer.batch_select_indices(rows)


def run(
    model: PreTrainedModel, request: Request, *, rows: int, report: Callable[[int], None] | None = None
) -> list[Row]:
    """All completions, in the order of their prompts.

    Args:
        model: A causal model in evaluation mode.
        request: What is wanted.
        rows: At most so many in one batch.
        report: Called with the number of finished prompts after each batch.
    """
    result = [Row() for _ in request.prompts]
    done = 0
    for group in _groups([len(prompt) for prompt in request.prompts], rows):
        for index, row in zip(group, _sample_group(model, request, group), strict=True):
            result[index] = row
        done += len(group)
        if report is not None:
            report(done)
    return result


def _groups(lengths: Sequence[int], rows: int) -> list[list[int]]:
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    groups: list[list[int]] = []
    for index in order:
        group = groups[-1] if groups else None
        if group is None or len(group) >= rows or lengths[index] - lengths[group[0]] > _SPREAD:
            groups.append([index])
        else:
            group.append(index)
    return groups


def _sample_group(model: PreTrainedModel, request: Request, group: Sequence[int]) -> list[Row]:
    prompts, ends, max_new_tokens = [request.prompts[i] for i in group], list(request.ends), request.max_new_tokens
    uniforms_BT = torch.from_numpy(np.stack([request.uniforms(i) for i in group]))
    device, count = model.device, len(prompts)
    lengths = torch.tensor([len(p) for p in prompts])
    ends_E = torch.tensor(ends, device=device)
    shortest, longest = int(lengths.min()), int(lengths.max())
    forced = torch.full((count, longest), ends[0], dtype=torch.long)
    for row, prompt in enumerate(prompts):
        forced[row, : len(prompt)] = torch.tensor(prompt)
    forced, lengths, uniforms_BT = forced.to(device), lengths.to(device), uniforms_BT.to(device)
    tokens_BT = torch.full((count, max_new_tokens), ends[0], dtype=torch.long, device=device)
    logprobs_BT = torch.zeros(count, max_new_tokens, dtype=at_least_single(model.dtype), device=device)
    counts = torch.zeros(count, dtype=torch.long, device=device)
    slots = torch.arange(count, device=device)  # which row each row of the cache belongs to
    going = torch.ones(count, dtype=torch.bool, device=device)
    cache = _cache(model, longest + max_new_tokens)
    step_input, position = forced[:, :shortest], shortest
    while True:
        logits = model(input_ids=step_input, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        column = position - lengths[slots]  # which completion token comes next; negative: still prompt
        at = column.clamp(0, max_new_tokens - 1)
        drawn, logprob = draw(logits, uniforms_BT[slots, at], request.temperature)
        if position < longest:
            drawn = torch.where(column >= 0, drawn, forced[slots, position])
        drawing = going & (column >= 0)
        rows, where = slots[drawing], at[drawing]
        tokens_BT[rows, where], logprobs_BT[rows, where] = drawn[drawing], logprob[drawing]
        counts[rows] = where + 1
        ended = drawing & (drawn[:, None] == ends_E).any(dim=1)
        going = going & ~ended & (column < max_new_tokens - 1)
        if not going.any():
            break
        step_input, position = drawn[:, None], position + 1
        if going.sum() < _COMPACT_BELOW * len(slots):
            keep = going.nonzero()[:, 0]
            _keep(cache, keep)
            slots, step_input, going = slots[keep], step_input[keep], going[keep]
    return [
        Row(tokens[:length], logprobs[:length])
        for tokens, logprobs, length in zip(tokens_BT.tolist(), logprobs_BT.tolist(), counts.tolist(), strict=True)
    ]
