"""Direct preference optimisation: the policy's own log-ratios are the scores.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.functional.pairwise import bradley_terry_accuracy, bradley_terry_loss


class DPOLoss(NamedTuple):
    """The loss to descend, and what the policy thinks of each row."""

    loss: Float[Tensor, ""]
    """Nats per row of weight 1."""
    margins_N: Float[Tensor, " N"]
    """Implicit score of the chosen minus that of the rejected completion, in reward units; no gradient."""
    accuracy: Float[Tensor, ""]
    """Share of rows whose margin points to the preferred side, in [0, 1]; ties count half."""


def dpo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    reference_chosen_N: Float[Tensor, " N"],
    reference_rejected_N: Float[Tensor, " N"],
    *,
    beta: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """Bradley-Terry loss on the implicit scores β log(π / π_ref).

        m = β [(log π(chosen) - log π_ref(chosen)) - (log π(rejected) - log π_ref(rejected))]
        ℓ = -(p log σ(m) + (1 - p) log σ(-m))

    Its optimum over all pairs is π_ref exp(r / β) / Z, the same as of RL with the same β, when the labels
    follow Bradley-Terry with scores r. At policy = reference the loss is log 2 and the accuracy ½.

    Args:
        policy_chosen_N: Log-probability of the chosen completion under the policy, in nats: the *sum* over
            its tokens (`sequence_logprobs`), not a mean.
        policy_rejected_N: The same for the rejected completion.
        reference_chosen_N: The same under the reference; no gradient flows into it.
        reference_rejected_N: The same for the rejected completion.
        beta: β, reward units per nat, above 0.
        p_chosen_N: Soft labels in [0, 1]: how probable it is that the chosen one is better. None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`, for the loss only; the accuracy is that of the rows given.

    Returns:
        The loss, the margins and the accuracy; off the weights, margins are what the inputs were.

    Source:
        Rafailov et al. 2023, arXiv:2305.18290, eq. 7; soft labels: Mitchell 2023, "A note on DPO with noisy
        preferences", eq. 3.
    """
    chosen_N = policy_chosen_N - reference_chosen_N.detach()
    rejected_N = policy_rejected_N - reference_rejected_N.detach()
    margins_N = beta * (chosen_N - rejected_N)
    labels_N = torch.ones_like(margins_N) if p_chosen_N is None else p_chosen_N
    return DPOLoss(
        loss=bradley_terry_loss(margins_N, labels_N, weights_N, denominator=denominator),
        margins_N=margins_N.detach(),
        accuracy=bradley_terry_accuracy(margins_N, labels_N, weights_N),
    )
