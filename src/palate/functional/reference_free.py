"""Preference losses without a reference model: ORPO and SimPO, on log-probabilities per token.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds. A soft label p is p rows
of one order and 1 - p rows of the other, so the functions of `labels` serve here as well.

Nothing holds these policies near where they began; watch the KL to it all the same.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from palate.core.errors import ConfigError, DataError
from palate.functional.dpo import DPOLoss
from palate.functional.pairwise import bradley_terry_accuracy
from palate.functional.reward_model import margin_loss
from palate.functional.rows import counted, refuse_unless_above_zero, row_weights, weighted_mean


def simpo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    chosen_tokens_N: Tensor,
    rejected_tokens_N: Tensor,
    *,
    beta: float,
    required: float = 0.0,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """The score is β times the mean log-probability, and must lead by a required margin.

        m = β (log π(chosen) / |chosen| - log π(rejected) / |rejected|)        ℓ = -log σ(m - γ)

    Args:
        policy_chosen_N: Log-probability of the chosen completion, in nats: the *sum* over its tokens; the
            division by their number is done here.
        policy_rejected_N: The same for the rejected completion.
        chosen_tokens_N: How many tokens the sums are over, at least 1.
        rejected_tokens_N: The same for the rejected completion.
        beta: β, reward units per nat per token, above 0; 2 to 10 is usual, far above that of DPO.
        required: γ in reward units, at least 0.
        p_chosen_N: Soft labels; None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`.

    Returns:
        The loss in nats per row of weight 1, the margins m (γ not subtracted) and the accuracy.

    Raises:
        ConfigError: β is not above 0, or γ is below 0.
        DataError: The rows do not fit together, or a completion has no token.

    Source:
        Meng et al. 2024, arXiv:2405.14734, eq. 6.
    """
    refuse_unless_above_zero(beta=beta)
    weights_N = row_weights(policy_chosen_N, weights_N, policy_rejected_N=policy_rejected_N, p_chosen_N=p_chosen_N)
    chosen_N = _mean_logprobs(policy_chosen_N, chosen_tokens_N, weights_N)
    rejected_N = _mean_logprobs(policy_rejected_N, rejected_tokens_N, weights_N)
    margins_N = beta * (chosen_N - rejected_N)
    labels_N = torch.ones_like(weights_N) if p_chosen_N is None else p_chosen_N
    return DPOLoss(
        loss=margin_loss(margins_N, labels_N, required, weights_N, denominator=denominator),
        margins_N=margins_N.detach(),
        accuracy=bradley_terry_accuracy(margins_N, labels_N, weights_N),
    )


def orpo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    chosen_tokens_N: Tensor,
    rejected_tokens_N: Tensor,
    *,
    odds_weight: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """Supervised learning of the chosen completion, and a ratio of odds against the rejected one.

        p̄ = exp(log π(y) / |y|)        m = log(p̄ / (1 - p̄)) of chosen - the same of rejected
        ℓ = -log p̄(chosen) - λ log σ(m)

    Args:
        policy_chosen_N: Log-probability of the chosen completion, in nats: the *sum* over its tokens.
        policy_rejected_N: The same for the rejected completion.
        chosen_tokens_N: How many tokens the sums are over, at least 1.
        rejected_tokens_N: The same for the rejected completion.
        odds_weight: λ, at least 0; 0.1 is usual. At 0 it is supervised learning.
        p_chosen_N: Soft labels; None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`.

    Returns:
        The loss in nats per row of weight 1, the margins m and the accuracy. A completion that the policy is
        certain of, up to rounding, has the odds of rounding and no gradient through them.

    Raises:
        ConfigError: λ is below 0.
        DataError: The rows do not fit together, a completion has no token, or a log-probability is above 0.

    Source:
        Hong et al. 2024, arXiv:2403.07691, eq. 6 and 7.
    """
    if not 0 <= odds_weight < math.inf:
        raise ConfigError(
            "the weight of the odds cannot work", expected="a finite number of at least 0", found=f"{odds_weight:g}"
        )
    weights_N = row_weights(policy_chosen_N, weights_N, policy_rejected_N=policy_rejected_N, p_chosen_N=p_chosen_N)
    chosen_N = _mean_logprobs(policy_chosen_N, chosen_tokens_N, weights_N)
    rejected_N = _mean_logprobs(policy_rejected_N, rejected_tokens_N, weights_N)
    margins_N = _log_odds(chosen_N) - _log_odds(rejected_N)
    labels_N = torch.ones_like(weights_N) if p_chosen_N is None else p_chosen_N
    losses_N = -labels_N * (chosen_N + odds_weight * logsigmoid(margins_N))
    losses_N = losses_N - (1 - labels_N) * (rejected_N + odds_weight * logsigmoid(-margins_N))
    return DPOLoss(
        loss=weighted_mean(losses_N, weights_N, denominator),
        margins_N=margins_N.detach(),
        accuracy=bradley_terry_accuracy(margins_N, labels_N, weights_N),
    )


def _mean_logprobs(sums_N: Tensor, tokens_N: Tensor, weights_N: Tensor) -> Tensor:
    """Nats per token; a harmless -1 where the weight is 0."""
    row_weights(sums_N, None, tokens_N=tokens_N)
    counts_N = weights_N > 0
    lengths_N = counted(tokens_N, counts_N, fill=1)
    if not bool((lengths_N >= 1).all()):
        raise DataError("a completion has no token", expected="at least 1, its end token")
    return counted(sums_N, counts_N, fill=-1.0) / lengths_N


def _log_odds(mean_logprobs_N: Tensor) -> Tensor:
    """`x - log(1 - eˣ)`, without the cancellation that either form has at its bad end."""
    if bool((mean_logprobs_N > 0).any()):
        raise DataError(
            "a log-probability is above 0",
            expected="sums of log-probabilities, in nats",
            found=f"{float(mean_logprobs_N.max()):g} a token",
            hint="pass log-probabilities under the policy, not log-ratios",
        )
    x_N = mean_logprobs_N.clamp(max=-torch.finfo(mean_logprobs_N.dtype).tiny)
    near_N = x_N > -math.log(2)
    log_rest_near_N = (-torch.where(near_N, x_N, -1.0).expm1()).log()
    log_rest_far_N = (-torch.where(near_N, -1.0, x_N).exp()).log1p()
    return x_N - torch.where(near_N, log_rest_near_N, log_rest_far_N)
