"""Length as a nuisance: how strongly margins follow it, and a price for that.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from palate.functional.rows import counted, row_weights, weighted_mean


def antisymmetric_correlation(
    x_N: Float[Tensor, " N"], y_N: Float[Tensor, " N"], weights_N: Float[Tensor, " N"] | None = None
) -> Float[Tensor, ""]:
    """Correlation of two differences, such as margin and length, over both orders of every pair.

        ρ = Σ w x y / √(Σ w x² · Σ w y²)

    A pair seen the other way round has both signs turned, so over both orders the means are 0. The usual
    correlation, which takes the mean off, would depend on which side was written first.

    Args:
        x_N: A difference, first minus second.
        y_N: Another one.
        weights_N: At least 0; None weighs all rows alike.

    Returns:
        A number in [-1, 1]; 0 where one of the two never differs.

    Raises:
        DataError: The rows do not fit together.
    """
    weights_N = row_weights(x_N, weights_N, y_N=y_N)
    x_N, y_N = counted(x_N, weights_N > 0), counted(y_N, weights_N > 0)
    scale = ((weights_N * x_N.square()).sum() * (weights_N * y_N.square()).sum()).clamp(min=1e-24).sqrt()
    return (weights_N * x_N * y_N).sum() / scale


def explained_loss(
    margins_N: Float[Tensor, " N"],
    differences_NF: Float[Tensor, "N F"],
    weights_N: Float[Tensor, " N"] | None = None,
) -> Float[Tensor, ""]:
    """How much of the margins some features' differences explain, to be added with a price.

        ℓ = Σ w f² / Σ w,  f the least-squares fit of the margins by the differences, without a constant

    With one feature it is ρ² times the mean squared margin. It does not add up over micro-batches: it wants the
    margins of the whole step.

    Args:
        margins_N: m, score of the first minus that of the second, in nats, from the head that is kept.
        differences_NF: Of each feature, first minus second: here, of the length and of its logarithm.
        weights_N: At least 0; None weighs all rows alike.

    Returns:
        Squared nats, at most the mean squared margin; 0 where margins say nothing about the features.

    Raises:
        DataError: The rows do not fit together.

    Source:
        After Chen et al. 2024, arXiv:2402.07319 (ODIN), eq. 4. There the price is on |ρ|, whose gradient grows
        without end as margins shrink, and they begin at 0; this one is a parabola.
    """
    weights_N = row_weights(margins_N, weights_N).double()
    counts_N = weights_N > 0
    margins_N = counted(margins_N, counts_N)
    x_NF = torch.where(counts_N[:, None], differences_NF, 0.0).detach().double()
    gram_FF = x_NF.T @ (weights_N[:, None] * x_NF)
    level = 1e-9 * gram_FF.diagonal().sum() + 1e-24
    pull_F = x_NF.T @ (weights_N * margins_N.double())
    fit_F = torch.linalg.solve(gram_FF + level * torch.eye(len(gram_FF), dtype=torch.float64), pull_F)
    explained = weighted_mean((x_NF @ fit_F).square(), weights_N)
    return explained.to(margins_N.dtype)
