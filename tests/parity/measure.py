"""What is compared: a loss and the norm of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

LOSS, NORM = 1e-5, 1e-4
"""Bounds. Both sides sum some hundred float32 terms in different orders; a rounding step is 6e-8, and twenty of
them leave ten times the room below 1e-5."""


class Outcome(NamedTuple):
    """One side's step."""

    loss: float
    norm: float
    """Of the gradient, before it is clipped."""


class Deviation(NamedTuple):
    """How far two sides are apart."""

    loss: float
    """|difference| / max(1, |loss|)."""
    norm: float
    """|difference| / norm."""

    @property
    def within(self) -> bool:
        """Whether the promise is kept."""
        return self.loss <= LOSS and self.norm <= NORM


def deviation(ours: Outcome, theirs: Outcome) -> Deviation:
    """The second side is what the first is held against."""
    return Deviation(
        abs(ours.loss - theirs.loss) / max(1.0, abs(theirs.loss)), abs(ours.norm - theirs.norm) / theirs.norm
    )


def norm_of(model: nn.Module) -> float:
    """Norm of all gradients; a weight that has none, though it is trained, counts as 0."""
    return float(
        torch.stack([p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]).sum().sqrt()
    )


def step(model: nn.Module, loss_of: Callable[[], torch.Tensor | float]) -> Outcome:
    """Call what gives a loss, go backward unless it went itself, and read the gradient."""
    model.zero_grad(set_to_none=True)
    loss = loss_of()
    if isinstance(loss, torch.Tensor):
        loss.backward()
        loss = loss.item()
    return Outcome(loss, norm_of(model))
