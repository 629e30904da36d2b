"""Sample completions with a KV cache, and keep the exact probability of every token.

Rows whose prompts are about as long walk through the same positions together: where one prompt is
longer than another, its own tokens are fed instead of sampled ones. So there is no padding on the
left, no attention mask, and any causal model works. A row draws its randomness from a seed of its
own, all of it before the first token; which rows stand beside it does not matter. Finished rows leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed

_SPREAD = 8
"""Prompts in one batch differ by at most so many tokens."""
_COMPACT_BELOW = 0.75
"""Finished rows are dropped from the cache when fewer than this share are alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One sampled completion."""

    tokens: list[int]
    """Completion tokens; the end token is the last one if `finished`."""
    logprobs: list[float]
    """Of each token under the distribution that it was drawn from."""
    end: int | None
    """The end token that it stopped at; `None` when `max_new_tokens` cut it off."""

    @property
    def finished(self) -> bool:
        """Whether it stopped by itself."""
        return self.end is not None


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


def row_seeds(seed: int, rows: Iterable[int]) -> list[int]:
    """Seeds of the rows with these numbers, so that a part of a batch can be sampled as the whole would be."""
    return [derive_seed(seed, "row", row) for row in rows]


def sample(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    eos_id: int | Collection[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    rows: int = 128,
    report: Callable[[int], None] | None = None,
) -> list[Sampled]:
    """One completion for each prompt.

    Args:
        model: A causal model in evaluation mode.
        prompts: Token ids, at least one each.
        eos_id: The token that ends a completion, or several: `ends_of(tokenizer).ids`.
        max_new_tokens: Longest completion.
        temperature: 0 takes the most likely token; its log-probs are then those at temperature 1.
        seed: Row `i` draws from a stream named by `seed` and `i` alone.
        seeds: One a row, in place of `row_seeds(seed, …)`: a row with the same prompt and seed is the same row.
        rows: At most so many in one batch; changes speed only.
        report: Called with the number of finished prompts after each batch.

    Raises:
        ConfigError: a negative temperature, no end token, an empty prompt, too few seeds, or no room in the
            model's context.
    """
    ends = sorted({eos_id} if isinstance(eos_id, int) else set(eos_id))
    seeds = row_seeds(seed, range(len(prompts))) if seeds is None else seeds
    _refuse(model, prompts, ends, seeds, max_new_tokens, temperature)
    result: list[Sampled | None] = [None] * len(prompts)
    done = 0
    with torch.inference_mode():
        for group in _groups([len(p) for p in prompts], rows):
            batch = _sample_group(
                model,
                [prompts[i] for i in group],
                torch.from_numpy(np.stack([_uniforms(seeds[i], max_new_tokens) for i in group])),
                ends,
                max_new_tokens,
                temperature,
            )
            for index, sampled in zip(group, batch, strict=True):
                result[index] = sampled
            done += len(group)
            if report is not None:
                report(done)
    return [row for row in result if row is not None]


def _refuse(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    ends: Sequence[int],
    seeds: Sequence[int],
    max_new_tokens: int,
    temperature: float,
) -> None:
    if temperature < 0:
        raise ConfigError("a temperature is negative", expected="0 or more", found=str(temperature))
    if not ends:
        raise ConfigError("no token ends a completion", expected="at least one end token")
    if len(seeds) != len(prompts):
        raise ConfigError("seeds and prompts differ in number", expected=f"{len(prompts)}", found=f"{len(seeds)}")
    longest = max((len(p) for p in prompts), default=0) + max_new_tokens
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and longest > context:
        raise ConfigError(
            "prompt and completion do not fit into the model's context",
            expected=f"at most {context} tokens",
            found=f"{longest - max_new_tokens} of the longest prompt and --max-new-tokens {max_new_tokens}",
            hint="lower --max-new-tokens or leave out the longest prompts",
        )
    if any(not p for p in prompts):
        raise ConfigError("a prompt has no tokens", expected="at least one")


def _uniforms(seed: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


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


def _sample_group(
    model: PreTrainedModel,
    prompts: list[Sequence[int]],
    uniforms_BT: Tensor,
    ends: Sequence[int],
    max_new_tokens: int,
    temperature: float,
) -> list[Sampled]:
    device, count = model.device, len(prompts)
    lengths = torch.tensor([len(p) for p in prompts])
    ends_E = torch.tensor(ends, device=device)
    shortest, longest = int(lengths.min()), int(lengths.max())
    forced = torch.full((count, longest), ends[0], dtype=torch.long)
    for row, prompt in enumerate(prompts):
        forced[row, : len(prompt)] = torch.tensor(prompt)
    forced, lengths, uniforms_BT = forced.to(device), lengths.to(device), uniforms_BT.to(device)
    tokens_BT = torch.full((count, max_new_tokens), ends[0], dtype=torch.long, device=device)
    logprobs_BT = torch.zeros(count, max_new_tokens, dtype=_exact(model.dtype), device=device)
    counts = torch.zeros(count, dtype=torch.long, device=device)
    slots = torch.arange(count, device=device)  # which row each row of the cache belongs to
    going = torch.ones(count, dtype=torch.bool, device=device)
    cache = _cache(model, longest + max_new_tokens)
    step_input, position = forced[:, :shortest], shortest
    while True:
        logits = model(input_ids=step_input, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        column = position - lengths[slots]  # which completion token comes next; negative: still prompt
        at = column.clamp(0, max_new_tokens - 1)
        drawn, logprob = _draw(logits, uniforms_BT[slots, at], temperature)
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
        Sampled(tokens=tokens[:length], logprobs=logprobs[:length], end=_end(tokens[length - 1], ends))
        for tokens, logprobs, length in zip(tokens_BT.tolist(), logprobs_BT.tolist(), counts.tolist(), strict=True)
    ]


def _end(last: int, ends: Sequence[int]) -> int | None:
    """A row stops at its first end token, so its last token tells."""
    return last if last in ends else None


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Half precision is too coarse for probabilities."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _draw(logits_BV: Tensor, uniforms_B: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Inverse-CDF draw and its log-prob; one uniform number a row is all the randomness."""
    logits_BV = logits_BV.to(_exact(logits_BV.dtype))
    if temperature == 0:
        logprobs_BV = torch.log_softmax(logits_BV, dim=-1)
        best = logits_BV.argmax(dim=-1)
        return best, logprobs_BV.gather(1, best[:, None])[:, 0]
    logprobs_BV = torch.log_softmax(logits_BV / temperature, dim=-1)
    cdf_BV = logprobs_BV.exp().cumsum(dim=-1)
    # Scaled by the total, so that rounding can never point past the last token.
    target = (uniforms_B.to(cdf_BV.dtype) * cdf_BV[:, -1])[:, None]
    drawn = torch.searchsorted(cdf_BV, target, right=True).clamp(max=logits_BV.shape[1] - 1)
    return drawn[:, 0], logprobs_BV.gather(1, drawn)[:, 0]
