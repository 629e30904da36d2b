"""What a check says about a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class WrongValue(AssertionError):
    """A function gave another value than its formula: the only thing that counts as a bug found."""


def same(found: Any, expected: Any, what: str, *, within: float = 1e-9) -> None:
    """Hold numbers to others: `|found - expected| <= within · max(1, |expected|)` everywhere.

    Args:
        found: A number, a list of numbers or a tensor.
        expected: The same, of the same shape. NaN expects NaN, and nothing else does.
        what: What the numbers are, for the message.
        within: How far they may differ.

    Raises:
        WrongValue: A number differs.
        ValueError: The shapes do not fit together, which says nothing about a value.
    """
    ours, theirs = _numbers(found), _numbers(expected)
    if ours.shape != theirs.shape:
        raise ValueError(f"{what}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}")
    close = (ours - theirs).abs() <= within * theirs.abs().clamp(min=1.0)
    close |= (ours == theirs) | (ours.isnan() & theirs.isnan())
    if not bool(close.all()):
        place = tuple((~close).nonzero()[0].tolist())
        where = f" at {place}" if place else ""
        raise WrongValue(f"{what}{where}: expected {float(theirs[place]):.10g}, found {float(ours[place]):.10g}")


def equal(found: object, expected: object, what: str) -> None:
    """Hold a count, a text or a list of them to another.

    Raises:
        WrongValue: They differ.
    """
    if found != expected:
        raise WrongValue(f"{what}: expected {expected!r}, found {found!r}"[:500])


def holds(truth: bool | Tensor, what: str) -> None:
    """Hold a relation between values, which `what` says in words.

    Raises:
        WrongValue: It does not hold.
    """
    if not bool(truth):
        raise WrongValue(f"does not hold: {what}")


def doubles(*numbers: Any) -> Tensor:
    """Numbers, or rows of them, as a float64 tensor: the precision in which checks are made."""
    return torch.tensor(numbers, dtype=torch.float64)


def masks(*rows: Sequence[int]) -> Tensor:
    """Rows of 0 and 1 as a mask."""
    return torch.tensor(rows, dtype=torch.bool)


def _numbers(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x.detach().double()
    return torch.as_tensor(x, dtype=torch.float64)
