"""Weighted means over rows, and what a loss says about rows that do not fit together.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds: `counted` stands before
the first operation that could make a NaN of it, so that neither the value nor the gradient sees it.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.core.errors import ConfigError, DataError


def row_weights(
    like_N: Float[Tensor, " N"], weights_N: Float[Tensor, " N"] | None, **others_N: Tensor | None
) -> Float[Tensor, " N"]:
    """The weight of every row, without gradient; one each if none are given.

    Args:
        like_N: Any tensor of the rows, for their number.
        weights_N: At least 0, finite; None weighs all rows alike.
        others_N: Further tensors that must have as many rows, by the name they have for the caller.

    Returns:
        Weights, in the type of `like_N` unless given.

    Raises:
        DataError: A tensor has another shape than `(N,)`, or a weight is negative or not finite.
    """
    for name, other in (*others_N.items(), ("weights_N", weights_N)):
        if other is not None and other.shape != like_N.shape:
            raise DataError(
                f"`{name}` does not have one number a row",
                expected=f"shape {tuple(like_N.shape)}",
                found=f"shape {tuple(other.shape)}",
            )
    if like_N.dim() != 1:
        raise DataError(
            "a loss over rows takes one number a row",
            expected="shape (N,)",
            found=f"shape {tuple(like_N.shape)}",
            hint="sum log-probabilities over tokens with `sequence_logprobs`",
        )
    if weights_N is None:
        return torch.ones_like(like_N, requires_grad=False)
    if not bool(((weights_N >= 0) & weights_N.isfinite()).all()):
        raise DataError("a weight is negative or not finite", expected="weights of at least 0", found=f"{weights_N}")
    return weights_N.detach()


def counted(x_N: Float[Tensor, " N"], counts_N: Bool[Tensor, " N"], fill: float = 0.0) -> Float[Tensor, " N"]:
    """`x` where it counts, a harmless number elsewhere.

    Args:
        x_N: Values, in any unit.
        counts_N: True on the rows that count.
        fill: The harmless number.

    Returns:
        Values in the same unit.
    """
    return torch.where(counts_N, x_N, fill)


def weighted_mean(
    x_N: Float[Tensor, " N"], weights_N: Float[Tensor, " N"], denominator: float | int | None = None
) -> Float[Tensor, ""]:
    """`Σ w x / Σ w`, or over the denominator given: then the means of micro-batches add up.

    Args:
        x_N: Values, in any unit.
        weights_N: At least 0.
        denominator: The sum of the weights of the whole batch; None takes those given.

    Returns:
        One number in the unit of `x`; NaN if nothing is weighed and no denominator is given.
    """
    total = torch.where(weights_N > 0, weights_N * x_N, 0.0).sum()
    return total / (weights_N.sum() if denominator is None else denominator)


def refuse_unless_above_zero(**settings: float) -> None:
    """Refuse a setting that makes no sense at 0 or below, or that is not finite.

    Args:
        settings: By the name they have for the caller.

    Raises:
        ConfigError: One of them cannot work.
    """
    for name, value in settings.items():
        if not 0 < value < float("inf"):
            raise ConfigError(f"`{name}` cannot work", expected="a finite number above 0", found=f"{value:g}")
