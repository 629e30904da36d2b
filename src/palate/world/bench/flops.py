"""Useful floating-point operations: what a stage needs at least, by its formula, not what was executed.

Counted are products with weights on real tokens, the head on completion tokens only, and causal attention; no
padding. By convention a prompt is counted once for each completion, so who computes it once for all can be
credited with more than was done, even with more than the core delivers. A backward pass is two forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Shape(NamedTuple):
    """What of a model costs operations."""

    body: int
    """Weights that every token is multiplied with."""
    head: int
    """Weights of the language model's head."""
    attention: int
    """Width of all heads together, times layers."""


def llama(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, vocabulary: int) -> Shape:
    """The shape of a Llama."""
    keys = hidden // heads * kv_heads
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * intermediate
    return Shape(layers * layer, vocabulary * hidden, layers * hidden)


def forward(shape: Shape, lengths: Sequence[int], head_tokens: int) -> float:
    """One forward pass.

    Args:
        shape: Of the model.
        lengths: Tokens of each sequence.
        head_tokens: Tokens whose logits are wanted.
    """
    pairs = sum(length * (length + 1) // 2 for length in lengths)
    return 2.0 * (shape.body * sum(lengths) + shape.head * head_tokens + 2 * shape.attention * pairs)


def useful(
    stage: str,
    shape: Shape,
    prompts: Sequence[int],
    completions: Sequence[int],
    *,
    epochs: int = 1,
    reference: bool = True,
    reward_model: bool = True,
) -> float:
    """What a stage needs for some sequences, sampled or given.

    Args:
        stage: `sft`, `reward`, `dpo`, `rollout`, `grpo`, `rloo` or `ppo`.
        shape: Of every model that takes part.
        prompts: Tokens of each sequence's prompt; both sides of a preference are sequences.
        completions: Tokens of its completion.
        epochs: Passes over what was sampled.
        reference: With `grpo`: whether a reference is asked.
        reward_model: With `ppo`: whether the reward is a model.
    """
    whole = [p + c for p, c in zip(prompts, completions, strict=True)]
    full, scalar = forward(shape, whole, sum(completions)), forward(shape, whole, 0)
    return {
        "sft": 3 * full,
        "reward": 3 * scalar,
        "dpo": 3 * full + full,
        "rollout": full,
        "grpo": full + reference * full + epochs * 3 * full,
        "rloo": full + full + epochs * 3 * full,
        # sampling, reference, old values, score, then both models in every epoch
        "ppo": full + full + scalar + reward_model * scalar + epochs * 3 * (full + scalar),
    }[stage]
