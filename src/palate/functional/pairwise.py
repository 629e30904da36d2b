"""Bradley-Terry: from the difference of two scores to the probability that the first is preferred.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from palate.functional.rows import weighted_mean


def bradley_terry_loss(
    margins_N: Float[Tensor, " N"],
    p_first_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
    *,
    denominator: float | int | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy between what was preferred and what the margins predict, a weighted mean.

        ℓ = -(p log σ(m) + (1 - p) log σ(-m))

    Args:
        margins_N: m, score of the first minus score of the second, in nats.
        p_first_N: p in [0, 1], the soft label: how probable it is that the first is better. A tie is ½.
        weights_N: At least 0; None weighs all rows alike.
        denominator: Divide the weighted sum by this and not by the sum of the weights. With the whole batch's
            sum of weights, the losses of its micro-batches add up to the loss of the batch.

    Returns:
        Nats per row of weight 1; NaN if nothing is weighed. At margins of 0 it is log 2.

    Source:
        Bradley & Terry 1952; Ouyang et al. 2022, arXiv:2203.02155, eq. 1.
    """
    counts_N, weights_N = _weights(margins_N, weights_N)
    margins_N = torch.where(counts_N, margins_N, 0.0)
    losses_N = -(p_first_N * logsigmoid(margins_N) + (1 - p_first_N) * logsigmoid(-margins_N))
    return weighted_mean(losses_N, weights_N, denominator)


def bradley_terry_accuracy(
    margins_N: Float[Tensor, " N"],
    p_first_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
) -> Float[Tensor, ""]:
    """Share of rows whose margin points to the side that was preferred; ties count half.

    A tie is a margin of 0, or a soft label of exactly ½.

    Args:
        margins_N: Score of the first minus score of the second.
        p_first_N: Soft label in [0, 1].
        weights_N: At least 0; None weighs all rows alike.

    Returns:
        A share in [0, 1]; NaN if nothing is weighed.
    """
    _, weights_N = _weights(margins_N, weights_N)
    agreements_N = 0.5 * (1 + margins_N.detach().sign() * (p_first_N - 0.5).sign())
    return weighted_mean(agreements_N, weights_N)


def _weights(margins_N: Tensor, weights_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which rows count, and what each weighs."""
    weights_N = torch.ones_like(margins_N) if weights_N is None else weights_N
    return weights_N > 0, weights_N.detach()
