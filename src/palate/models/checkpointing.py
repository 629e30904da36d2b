"""Gradient checkpointing: a layer keeps its input alone, and is computed again on the way back.

Memory for about a third more time (Chen et al. 2016, arXiv:1604.06174).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from palate.core.errors import ConfigError

Again = Callable[[Callable[..., Any]], Callable[..., Any]]
"""From a pass to the same pass, as it would go now."""


def checkpoint_layers(model: Any, again: Again | None = None) -> None:
    """Let each layer of a model of transformers be computed twice wherever a gradient is wanted.

    Transformers does so where a layer trains, which here would also wake dropout. So only the layers
    themselves are told that they train, and only while gradients are on: sampling keeps its cache.

    Args:
        model: A model of transformers, changed in place.
        again: Given a layer's pass, the same with the adapter of now on: by the time of the way back
            another may be.

    Raises:
        ConfigError: the architecture has no layers that could be computed again.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise ConfigError(
            "--gradient-checkpointing cannot be used with this model",
            expected="an architecture whose layers transformers can compute again",
            found=type(model).__name__,
            hint="leave it out, or take a smaller --micro-batch",
        )

    def twice(layer: Callable[..., Any], *inputs: Any) -> Any:
        return checkpoint(layer if again is None else again(layer), *inputs, use_reentrant=False)

    def prepare(_module: nn.Module, _inputs: Any) -> None:
        for layer in layers:
            layer.training = torch.is_grad_enabled()

    for layer in layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = twice
    model.base_model.register_forward_pre_hook(prepare)
