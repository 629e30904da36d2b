"""Losses of a reward model beyond plain Bradley-Terry: margins, known flips, centring.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds. Soft labels, weights
and denominators mean what they mean in `pairwise`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from palate.core.errors import ConfigError
from palate.functional.rows import counted, row_weights, weighted_mean


def margin_loss(
    margins_N: Float[Tensor, " N"],
    p_first_N: Float[Tensor, " N"],
    required_N: Float[Tensor, " N"] | float,
    weights_N: Float[Tensor, " N"] | None = None,
    *,
    denominator: float | int | None = None,
) -> Float[Tensor, ""]:
    """Bradley-Terry loss in which the better side must lead by a margin.

        ℓ = -(p log σ(m - a) + (1 - p) log σ(-m - a))

    With a = 0 it is `bradley_terry_loss`. Its best margin for a label p is no longer log(p / (1 - p)): what
    strong preferences gain in distance, scores lose as probabilities.

    Args:
        margins_N: m, score of the first minus score of the second, in nats.
        p_first_N: p, the soft label: how probable it is that the first is better. A tie is ½.
        required_N: a, at least 0, in nats: larger for pairs that raters call clearly different.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`.

    Returns:
        Nats per row of weight 1; NaN if nothing is weighed.

    Raises:
        ConfigError: A required margin is below 0.
        DataError: The rows do not fit together.

    Source:
        Touvron et al. 2023, arXiv:2307.09288, eq. 2.
    """
    required_N = torch.as_tensor(required_N, dtype=margins_N.dtype, device=margins_N.device).expand_as(margins_N)
    weights_N = row_weights(margins_N, weights_N, p_first_N=p_first_N)
    counts_N = weights_N > 0
    required_N = counted(required_N.detach(), counts_N)
    if not bool((required_N >= 0).all()):
        raise ConfigError(
            "a required margin is below 0",
            expected="at least 0 nats",
            found=f"{float(required_N.min()):g}",
            hint="which side is better belongs into the label, not into the sign of the margin",
        )
    margins_N = counted(margins_N, counts_N)
    losses_N = -(p_first_N * logsigmoid(margins_N - required_N))
    losses_N = losses_N - (1 - p_first_N) * logsigmoid(-margins_N - required_N)
    return weighted_mean(losses_N, weights_N, denominator)


def flip_aware_loss(
    margins_N: Float[Tensor, " N"],
    p_first_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
    *,
    flip_rate: float,
    denominator: float | int | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy against raters who follow Bradley-Terry and then say the opposite at a rate ε.

        q = (1 - ε) σ(m) + ε σ(-m)        ℓ = -(p log q + (1 - p) log(1 - q))

    The likelihood of the noisy labels themselves: its optimum is the clean margin, like that of
    `denoised_labels`, but it is never negative, and no row can pull harder than its likelihood allows: one
    that contradicts a large margin is taken for a flip and let go.

    Args:
        margins_N: m, score of the first minus score of the second, in nats.
        p_first_N: p in [0, 1], as the raters gave it.
        weights_N: At least 0; None weighs all rows alike.
        flip_rate: ε in [0, ½). A rater who answers at random in 10 % of cases flips 5 %.
        denominator: As in `bradley_terry_loss`.

    Returns:
        Nats per row of weight 1, at most -log ε per contradicted row; NaN if nothing is weighed.

    Raises:
        ConfigError: ε is outside [0, ½).
        DataError: The rows do not fit together.

    Source:
        Christiano et al. 2017, arXiv:1706.03741, section 2.2.3.
    """
    if not 0 <= flip_rate < 0.5:
        raise ConfigError("the flip rate cannot work", expected="0 up to, not including, 0.5", found=f"{flip_rate:g}")
    weights_N = row_weights(margins_N, weights_N, p_first_N=p_first_N)
    margins_N = counted(margins_N, weights_N > 0)
    log_first_N, log_second_N = logsigmoid(margins_N), logsigmoid(-margins_N)
    if flip_rate:
        kept, flipped = math.log1p(-flip_rate), math.log(flip_rate)
        log_first_N, log_second_N = (
            torch.logaddexp(kept + log_first_N, flipped + log_second_N),
            torch.logaddexp(kept + log_second_N, flipped + log_first_N),
        )
    losses_N = -(p_first_N * log_first_N + (1 - p_first_N) * log_second_N)
    return weighted_mean(losses_N, weights_N, denominator)


def centring_loss(
    first_N: Float[Tensor, " N"],
    second_N: Float[Tensor, " N"],
    weights_N: Float[Tensor, " N"] | None = None,
    *,
    denominator: float | int | None = None,
) -> Float[Tensor, ""]:
    """Pulls the two scores of a pair towards opposite numbers, to be added with a small coefficient.

        ℓ = (r₁ + r₂)²

    Bradley-Terry sees only differences, so the level of a prompt's scores is free. This fixes it, and in doing
    so moves no difference: its gradient is the same for both scores.

    Args:
        first_N: Score of the first completion.
        second_N: Score of the second one.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`.

    Returns:
        Squared score units per row of weight 1; NaN if nothing is weighed.

    Raises:
        DataError: The rows do not fit together.

    Source:
        Eisenstein et al. 2023, arXiv:2312.09244, the regularised Bradley-Terry loss.
    """
    weights_N = row_weights(first_N, weights_N, second_N=second_N)
    sums_N = counted(first_N + second_N, weights_N > 0)
    return weighted_mean(sums_N.square(), weights_N, denominator)
