"""Read a Hugging Face model as a decoder of the Llama family: its very modules and parameters, no copies.

Llama, Mistral, Qwen2 and Qwen3 are one architecture with small differences: biases, norms on queries and keys,
a tied output layer. `describe` names the parts. What it does not know, or cannot promise to compute as the model
itself would, it says so and gives no family: the model's own forward pass is always there.

Source: Touvron et al. 2023, arXiv:2302.13971; Qwen3: Yang et al. 2025, arXiv:2505.09388.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import LlamaModel, MistralModel, Qwen2Model, Qwen3Model

from palate.models.adapters import Hat

KNOWN = (LlamaModel, MistralModel, Qwen2Model, Qwen3Model)


class Block(NamedTuple):
    """One layer. Linear parts may be adapters or of 4 bits: ask `is_plain` before reading a weight."""

    attention_norm: nn.Module
    """Norms have a `weight`; their epsilon is `epsilon(norm)`."""
    query: nn.Module
    key: nn.Module
    value: nn.Module
    output: nn.Module
    query_norm: nn.Module | None
    """Over each head, before the rotation; Qwen3 has it."""
    key_norm: nn.Module | None
    mlp_norm: nn.Module
    gate: nn.Module
    """The activation, SiLU, is on this one."""
    up: nn.Module
    down: nn.Module


class Family(NamedTuple):
    """A decoder of the Llama family."""

    embedding: nn.Embedding
    blocks: tuple[Block, ...]
    norm: nn.Module
    """After the last block."""
    head: nn.Module | None
    """The output layer; None where there is a scalar head in its place."""
    rotary: nn.Module
    """Gives cosines and sines, whatever the kind of its frequencies; see `rotations`."""
    heads: int
    kv_heads: int
    head_dim: int
    scaling: float
    """Factor on queries times keys."""
    window: int | None
    """Rows with more tokens than this are seen through a sliding window, which this description does not know."""
    checkpointing: bool
    """Whether activations are computed again in the backward pass."""
    wear: Callable[[], None]
    """Puts the right adapter on; call it before each pass."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings, hence of the hidden states."""
        return self.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the embeddings are."""
        return self.embedding.weight.device


class Unknown(NamedTuple):
    """Why a model is taken as it is."""

    reason: str


def describe(model: Any) -> Family | None:
    """A causal model, one with a scalar head, or a hat of either, as a Llama-family decoder; None if it is none."""
    found = examine(model)
    return found if isinstance(found, Family) else None


def examine(model: Any) -> Family | Unknown:
    """As `describe`, with the reason where there is none."""
    wear: Callable[[], None] = _nothing
    if isinstance(model, Hat):
        hat, model = model, model.shared.model
        wear = partial(hat.shared.wear, hat.adapter)
    base: Any = getattr(model, "base_model", None)
    if type(base) not in KNOWN:
        return Unknown(f"its own forward pass is used: {type(model).__name__} is not of the Llama family")
    problem = _problem(base)
    if problem:
        return Unknown(f"its own forward pass is used: {problem}")
    first = base.layers[0].self_attn
    count = base.config.num_hidden_layers
    windows = [_window(base.config, layer.self_attn) for layer in base.layers[:count]]
    return Family(
        embedding=base.embed_tokens,
        blocks=tuple(_block(layer) for layer in base.layers[:count]),
        norm=base.norm,
        head=getattr(model, "lm_head", None),
        rotary=base.rotary_emb,
        heads=base.config.num_attention_heads,
        kv_heads=base.config.num_key_value_heads,
        head_dim=first.head_dim,
        scaling=first.scaling,
        window=min((window for window in windows if window is not None), default=None),
        checkpointing=bool(getattr(base.layers[0], "gradient_checkpointing", False)),
        wear=wear,
    )


def is_plain(linear: nn.Module) -> bool:
    """Whether a part is `x @ weight.T + bias` and no more; anything else must be called."""
    return type(linear) is nn.Linear


def epsilon(norm: nn.Module) -> float:
    """What a root-mean-square norm adds to the mean square."""
    return float(norm.variance_epsilon)  # type: ignore[arg-type]


def rotations(family: Family, positions_S: Int[Tensor, " S"], like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position, (S, head size), in the precision of `like`, by the model's own module."""
    cos: Float[Tensor, "1 S D"]
    cos, sin = family.rotary(like, positions_S[None])
    return cos[0], sin[0]


def _nothing() -> None:
    """A model without hats wears nothing."""


def _block(layer: Any) -> Block:
    attention, mlp = layer.self_attn, layer.mlp
    return Block(
        attention_norm=layer.input_layernorm,
        query=attention.q_proj,
        key=attention.k_proj,
        value=attention.v_proj,
        output=attention.o_proj,
        query_norm=getattr(attention, "q_norm", None),
        key_norm=getattr(attention, "k_norm", None),
        mlp_norm=layer.post_attention_layernorm,
        gate=mlp.gate_proj,
        up=mlp.up_proj,
        down=mlp.down_proj,
    )


def _problem(base: Any) -> str:
    """What stands in the way of computing a known architecture part by part; empty if nothing does."""
    config = base.config
    if config.hidden_act not in ("silu", "swish"):
        return f"its activation is {config.hidden_act}, not SiLU"
    if getattr(config, "attention_dropout", 0.0) and base.training:
        return "its attention has dropout"
    for name, module in base.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:  # sharded or watched: whoever hooks wants to be called
            return f"{name or 'it'} has a forward hook"
    return ""


def _window(config: Any, attention: Any) -> int | None:
    found = getattr(attention, "sliding_window", None)
    if found is None and config.model_type == "mistral":
        found = getattr(config, "sliding_window", None)  # there the layers read it from the configuration
    return None if found is None else int(found)
