"""What one comparison, judgement or group of them did to a Bradley-Terry head, without training it again.

The head is linear: the margin of a pair is the difference of its features times weights. At the weights that minimise

    Σ a ℓ(x · w; p) + ½ λ |w|²        ℓ(m; p) = -(p log σ(m) + (1 - p) log σ(-m))

with Hessian H, some rows change from (p, a) to (p', a'); a' = 0 takes a row out. One step of Newton's method on the
changed objective is

    Δw = (H - Xᵀ diag(c) X)⁻¹ Xᵀ v        c = (a - a') σ (1 - σ)        v = a (σ - p) - a' (σ - p')

with σ = σ(x · w) before the change. For one row that is H⁻¹ x v / (1 - c xᵀ H⁻¹ x): the influence function, with the
row's own leverage taken out of the curvature. For a quadratic loss it is exact. Effects of rows that are taken out
together are not the sum of their effects alone, hence the system of equations for groups.

Shapes: `N` preference rows, `M` changes that are looked at one by one, `K` rows that change together, `D` features.

Source:
    Koh and Liang 2017, arXiv:1703.04730, eq. 2 (influence); Pregibon 1981 (one step of Newton's method for a logistic
    model without a row, its leverage in the denominator); groups by the identity of Woodbury, as against sums: Basu,
    You and Feizi 2020, arXiv:1911.00418.
"""

from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from palate.core.errors import DataError
from palate.functional.rows import refuse_unless_above_zero, row_weights

_STEPS: Final = 100
_NEAR: Final = 1e-10
_CELLS: Final = 2**24
"""Margins that are held at once."""


class Rows(NamedTuple):
    """What a head learns from, or is measured on."""

    x_ND: Float[Tensor, "N D"]
    """Features of the first side less those of the second."""
    p_N: Float[Tensor, " N"]
    """How probable it is that the first is better, in [0, 1]."""
    a_N: Float[Tensor, " N"]
    """Weights, at least 0."""


class Head(NamedTuple):
    """A head at its optimum."""

    weights_D: Float[Tensor, " D"]
    """In nats per feature."""
    inverse_DD: Float[Tensor, "D D"]
    """H⁻¹."""
    price: float
    """λ."""


def fit_head(rows: Rows, *, price: float, start_D: Float[Tensor, " D"] | None = None) -> Head:
    """The weights that minimise the objective, by Newton's method with halved steps.

    Args:
        rows: In float64, or the optimum is rough.
        price: λ, above 0: the objective has one optimum then, whatever the features.
        start_D: Where to begin; None begins at 0.

    Raises:
        ConfigError: the price is not above 0.
        DataError: shapes do not fit, or a weight is negative.
    """
    refuse_unless_above_zero(price=price)
    a_N = row_weights(rows.p_N, rows.a_N)
    if rows.x_ND.shape[:1] != rows.p_N.shape:
        raise DataError("features and labels differ in number", found=f"{tuple(rows.x_ND.shape)}, {len(rows.p_N)}")
    rows = rows._replace(a_N=a_N)
    weights_D = rows.x_ND.new_zeros(rows.x_ND.shape[1]) if start_D is None else start_D.clone()
    value = _objective(rows, weights_D, price)
    for _ in range(_STEPS):
        sigma_N = (rows.x_ND @ weights_D).sigmoid()
        gradient_D = rows.x_ND.T @ (a_N * (sigma_N - rows.p_N)) + price * weights_D
        step_D = torch.linalg.solve(_hessian(rows, weights_D, price), gradient_D)
        if float(step_D.abs().max()) < _NEAR:
            break
        size = 1.0
        while size > _NEAR and not (new := _objective(rows, weights_D - size * step_D, price)) <= value:
            size /= 2
        if size <= _NEAR:  # rounding is all that is left
            break
        weights_D, value = weights_D - size * step_D, new
    return Head(weights_D, torch.linalg.inv(_hessian(rows, weights_D, price)), price)


def pulls(head: Head, rows: Rows, now_p_N: Float[Tensor, " N"], now_a_N: Float[Tensor, " N"]) -> tuple[Tensor, Tensor]:
    """`(v, c)` of each row that changes from its label and weight to others; a weight of 0 takes it out."""
    sigma_N = (rows.x_ND @ head.weights_D).sigmoid()
    pull_N = rows.a_N * (sigma_N - rows.p_N) - now_a_N * (sigma_N - now_p_N)
    return pull_N, (rows.a_N - now_a_N) * sigma_N * (1 - sigma_N)


def moves(head: Head, rows: Rows, now_p_N: Float[Tensor, " N"], now_a_N: Float[Tensor, " N"]) -> Float[Tensor, "N D"]:
    """How each change, made alone, moves the weights."""
    pull_N, curvature_N = pulls(head, rows, now_p_N, now_a_N)
    towards_ND = rows.x_ND @ head.inverse_DD
    leverage_N = curvature_N * (towards_ND * rows.x_ND).sum(-1)
    return towards_ND * (pull_N / (1 - leverage_N)).unsqueeze(-1)


def move_together(
    head: Head, rows: Rows, now_p_K: Float[Tensor, " K"], now_a_K: Float[Tensor, " K"]
) -> Float[Tensor, " D"]:
    """How changes of some rows, made at once, move the weights.

    One system of as many equations as there are rows or features, whichever are fewer; both say the same, since
    (H - XᵀCX)⁻¹ Xᵀ = H⁻¹ Xᵀ (I - C X H⁻¹ Xᵀ)⁻¹ = (I - H⁻¹ XᵀCX)⁻¹ H⁻¹ Xᵀ.

    Args:
        head: Fitted to all rows.
        rows: Those that change.
        now_p_K: Their labels afterwards.
        now_a_K: Their weights afterwards.
    """
    pull_K, curvature_K = pulls(head, rows, now_p_K, now_a_K)
    towards_KD = rows.x_ND @ head.inverse_DD
    bent_KD = curvature_K.unsqueeze(-1) * rows.x_ND
    if len(pull_K) <= rows.x_ND.shape[1]:
        system_KK = torch.eye(len(pull_K), dtype=pull_K.dtype) - bent_KD @ towards_KD.T
        moved_D: Tensor = torch.linalg.solve(system_KK, pull_K) @ towards_KD
    else:
        system_DD = torch.eye(rows.x_ND.shape[1], dtype=pull_K.dtype) - towards_KD.T @ bent_KD
        moved_D = torch.linalg.solve(system_DD, towards_KD.T @ pull_K)
    return moved_D


def loss_changes(head: Head, outside: Rows, moves_MD: Float[Tensor, "M D"]) -> Float[Tensor, " M"]:
    """What each move of the weights does to the loss on other rows: nats a row, their weighted mean.

    Below 0 the loss falls, so what was taken out did harm.
    """
    margins_N = outside.x_ND @ head.weights_D
    before = _mean_loss(margins_N, outside)
    size = max(1, _CELLS // max(1, len(outside.p_N)))
    parts = [_mean_loss(margins_N + part @ outside.x_ND.T, outside) - before for part in moves_MD.split(size)]
    return torch.cat(parts) if parts else moves_MD.new_zeros(0)


def surprises(head: Head, rows: Rows, moves_ND: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """Loss of each row under the head that never saw it, in nats: how unlikely its own label is to all the others.

    Args:
        head: Fitted to all rows.
        rows: The same.
        moves_ND: What taking out each row does to the weights.
    """
    margins_N = (rows.x_ND * (head.weights_D + moves_ND)).sum(-1)
    return binary_cross_entropy_with_logits(margins_N, rows.p_N, reduction="none")


def _mean_loss(margins: Tensor, rows: Rows) -> Tensor:
    losses = binary_cross_entropy_with_logits(margins, rows.p_N.expand_as(margins), reduction="none")
    return losses @ rows.a_N / rows.a_N.sum()


def _objective(rows: Rows, weights_D: Tensor, price: float) -> float:
    losses_N = binary_cross_entropy_with_logits(rows.x_ND @ weights_D, rows.p_N, reduction="none")
    return float(rows.a_N @ losses_N + price / 2 * weights_D.square().sum())


def _hessian(rows: Rows, weights_D: Tensor, price: float) -> Tensor:
    sigma_N = (rows.x_ND @ weights_D).sigmoid()
    curved_DD = (rows.x_ND * (rows.a_N * sigma_N * (1 - sigma_N)).unsqueeze(-1)).T @ rows.x_ND
    return curved_DD + price * torch.eye(len(weights_D), dtype=weights_D.dtype)
