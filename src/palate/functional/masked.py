"""Sums, means, variances and whitening over the tokens that count.

Shapes: `B` sequences, `T` completion tokens. True in a mask means "counts". Variances divide by n, not
by n - 1: a batch of one token has variance 0, and whitened values have a mean square of exactly 1.
"""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_ROUNDING_STEPS: Final = 16
"""A standard deviation below this many rounding steps of the largest value is rounding, not spread."""


def masked_sum(x: Float[Tensor, "..."], mask: Bool[Tensor, "..."], dim: int | None = -1) -> Float[Tensor, "..."]:
    """Sum of the values that count; a sum of none is 0.

    Args:
        x: Values, in any unit.
        mask: True on the values that count; the shape of `x`.
        dim: The axis to sum over, or None for all of them.

    Returns:
        The sums, in the unit of `x`, without the axis `dim`.
    """
    counted = torch.where(mask, x, 0.0)
    return counted.sum() if dim is None else counted.sum(dim)


def masked_mean(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Mean of all values that count; NaN if none does, because a mean of nothing is not 0.

    Args:
        x: Values, in any unit.
        mask: True on the values that count.

    Returns:
        One number in the unit of `x`.
    """
    return masked_sum(x, mask, dim=None) / mask.sum()


def masked_variance(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Mean squared distance from the mean, over all values that count.

        Var = Σ (x - mean)² / n

    Divided by n (the "biased" form), so that one value has variance 0 and not NaN.

    Args:
        x: Values, in any unit.
        mask: True on the values that count.

    Returns:
        One number in the squared unit of `x`; NaN if no value counts.
    """
    return masked_mean((torch.where(mask, x, 0.0) - masked_mean(x, mask)).square(), mask)


def whiten(x_BT: Float[Tensor, "B T"], mask_BT: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Values moved to mean 0 and scaled to variance 1, over all tokens that count.

        (x - mean) / √Var

    Values without spread (one token, or all equal up to rounding) become 0: there is no ε under the
    root, so the result is the same in every unit of `x`.

    Args:
        x_BT: Values such as advantages, in any unit.
        mask_BT: True on completion tokens.

    Returns:
        Numbers without unit, 0 where `mask_BT` is False.

    Source:
        Ziegler et al. 2019, arXiv:1909.08593, code; the variance over n is our choice, see the module.
    """
    return _scaled_deviations(x_BT, mask_BT)


def scale_to_unit_variance(x_BT: Float[Tensor, "B T"], mask_BT: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Values scaled about their mean to variance 1; the mean stays what it was.

        mean + (x - mean) / √Var

    For per-token rewards: moving their mean would add a reward per token, that is, pay for length.

    Args:
        x_BT: Values such as rewards, in any unit.
        mask_BT: True on completion tokens.

    Returns:
        Scaled values, 0 where `mask_BT` is False; the mean itself where the values have no spread.

    Source:
        Ziegler et al. 2019, arXiv:1909.08593, code (`whiten(…, shift_mean=False)`).
    """
    return torch.where(mask_BT, _scaled_deviations(x_BT, mask_BT) + masked_mean(x_BT, mask_BT), 0.0)


def _scaled_deviations(x: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """`(x - mean) / √Var` on the mask, 0 elsewhere and where Var is only rounding."""
    if not x.numel():
        return x
    counted = torch.where(mask, x, 0.0)
    variance = masked_variance(x, mask)
    rounding = _ROUNDING_STEPS * torch.finfo(x.dtype).eps * counted.detach().abs().amax()
    has_spread = variance > rounding.square()
    deviation = torch.where(has_spread, variance, 1.0).sqrt()
    return torch.where(mask & has_spread, (counted - masked_mean(x, mask)) / deviation, 0.0)
