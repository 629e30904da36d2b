"""KTO: learning from single completions that somebody called good or bad.

Shapes: `N` judged completions; no pairs are needed. A row of weight 0 does not count, whatever else it holds.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError, DataError
from palate.functional.rows import counted, refuse_unless_above_zero, row_weights, weighted_mean


class KTOLoss(NamedTuple):
    """The loss to descend, and what the policy thinks of each row."""

    loss: Float[Tensor, ""]
    """Value lost per row of weight 1, between 0 and the larger of the two weights of good and bad."""
    rewards_N: Float[Tensor, " N"]
    """Implicit score β (log π - log π_ref) of each completion, in reward units; no gradient."""


def kto_reference_point(
    policy_N: Float[Tensor, " N"],
    reference_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
) -> float:
    """What a completion is compared with: how far the policy has moved in general, in nats.

        z₀ = max(0, mean(log π(y') - log π_ref(y')))

    y' must be *mismatched*: completions of other rows in the batch, put after this row's prompt. It is a fact
    of the whole batch: compute it once, over all of it, and give the same number to every micro-batch.

    Args:
        policy_N: Log-probability of each mismatched completion under the policy, a sum, in nats.
        reference_N: The same under the reference.
        weights_N: At least 0; None weighs all rows alike.

    Returns:
        Nats, at least 0: a plain number, so that no gradient can flow through it.

    Raises:
        DataError: The rows do not fit together, nothing is weighed, or the mean is not finite.

    Source:
        Ethayarajh et al. 2024, arXiv:2402.01306, section 4.
    """
    weights_N = row_weights(policy_N, weights_N, reference_N=reference_N)
    mean = float(weighted_mean((policy_N - reference_N).detach(), weights_N))
    if not -float("inf") < mean < float("inf"):
        raise DataError(
            "KTO's reference point is not a number",
            expected="at least one weighed row, with finite log-probabilities",
            found=f"a mean of {mean}",
        )
    return max(0.0, mean)


def kto_loss(
    policy_N: Float[Tensor, " N"],
    reference_N: Float[Tensor, " N"],
    p_good_N: Float[Tensor, " N"],
    *,
    beta: float,
    reference_point_nats: float,
    good_weight: float = 1.0,
    bad_weight: float = 1.0,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> KTOLoss:
    """A completion called good should be above the reference point, one called bad below.

        r = log π(y) - log π_ref(y)
        ℓ = p λ_good (1 - σ(β (r - z₀))) + (1 - p) λ_bad (1 - σ(β (z₀ - r)))

    The value saturates on both sides: rows that are far right, or hopelessly wrong, hardly pull.

    Args:
        policy_N: Log-probability of each completion under the policy, in nats: the sum over its tokens.
        reference_N: The same under the reference; no gradient flows into it.
        p_good_N: Soft label in [0, 1]: 1 for good, 0 for bad.
        beta: β, reward units per nat, above 0.
        reference_point_nats: z₀ of the whole batch, see `kto_reference_point`.
        good_weight: λ_good, above 0.
        bad_weight: λ_bad, above 0. The paper keeps λ_good · (good rows) / (λ_bad · (bad rows)) in [1, 3/2].
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`.

    Returns:
        The loss and the scores; off the weights, scores are what the inputs were.

    Raises:
        ConfigError: A setting is not above 0, or z₀ is negative or not finite.
        DataError: The rows do not fit together.

    Source:
        Ethayarajh et al. 2024, arXiv:2402.01306, eq. 8.
    """
    refuse_unless_above_zero(beta=beta, good_weight=good_weight, bad_weight=bad_weight)
    if not 0 <= reference_point_nats < float("inf"):
        raise ConfigError(
            "KTO's reference point cannot be",
            expected="a finite number of nats, at least 0",
            found=f"{reference_point_nats:g}",
            hint="`kto_reference_point` computes it",
        )
    weights_N = row_weights(policy_N, weights_N, reference_N=reference_N, p_good_N=p_good_N)
    log_ratios_N = policy_N - reference_N.detach()
    above_N = beta * (counted(log_ratios_N, weights_N > 0) - reference_point_nats)
    # 1 - σ(x) is σ(-x), without the cancellation
    losses_N = p_good_N * good_weight * torch.sigmoid(-above_N)
    losses_N = losses_N + (1 - p_good_N) * bad_weight * torch.sigmoid(above_N)
    return KTOLoss(weighted_mean(losses_N, weights_N, denominator), (beta * log_ratios_N).detach())
