"""Proximal policy optimisation: the clipped losses of the policy and of the critic.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts".

Both losses are means over the counted tokens of the batch. A micro-batch cannot know how many tokens its
batch counts, so the caller may pass that number as `denominator`: then the losses of the micro-batches *add
up* to that of the batch, however it was cut. The other facts are always those of the tokens given.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.functional.kl import k3
from palate.functional.masked import masked_mean, masked_sum, masked_variance


class PolicyLoss(NamedTuple):
    """The loss to descend, and three facts about the step that made it."""

    loss: Float[Tensor, ""]
    """Reward units per token."""
    clip_fraction: Float[Tensor, ""]
    """Share of counted tokens whose gradient the clip removed, in [0, 1]."""
    old_new_kl: Float[Tensor, ""]
    """k3 estimate of KL(old ‖ new) per token, in nats."""
    max_ratio_error: Float[Tensor, ""]
    """Largest |ρ - 1|: only rounding before the first step, or the two log-probabilities disagree."""


class ValueLoss(NamedTuple):
    """The loss to descend, and two facts about the critic."""

    loss: Float[Tensor, ""]
    """Squared reward units per token."""
    clip_fraction: Float[Tensor, ""]
    """Share of counted tokens whose gradient the clip removed, in [0, 1]."""
    explained_variance: Float[Tensor, ""]
    """1 - Var(R - V) / Var(R), at most 1: 0 is as good as a constant. NaN where the returns do not vary."""


def policy_loss(
    logprobs_BT: Float[Tensor, "B T"],
    old_logprobs_BT: Float[Tensor, "B T"],
    advantages_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    clip: float,
    denominator: float | int | None = None,
) -> PolicyLoss:
    """Clipped surrogate, a mean over the counted tokens.

        ρ = exp(log π - log π_old)        ℓ = -min(ρ A, clip(ρ, 1 ± c) A)

    Its gradient is 0 where a token has already moved far enough (A > 0 and ρ > 1 + c, or A < 0 and ρ < 1 - c)
    and that of -ρA everywhere else. At ρ = 1 it is the policy gradient -A ∇ log π.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        old_logprobs_BT: Under the policy that sampled the tokens, in nats; no gradient flows into them.
        advantages_BT: In reward units, or whitened; no gradient flows into them.
        mask_BT: True on completion tokens.
        clip: c, at least 0; 0.2 is usual, `math.inf` never clips.
        denominator: Counted tokens of the whole batch; None takes those of `mask_BT`.

    Returns:
        The loss and its facts. If no token counts, the shares and means are NaN, and so is the loss unless a
        denominator is given.

    Source:
        Schulman et al. 2017, arXiv:1707.06347, eq. 7.
    """
    # The mask stands before the exponential: no gradient, not even NaN, goes back past it.
    log_ratio_BT = torch.where(mask_BT, logprobs_BT - old_logprobs_BT.detach(), 0.0)
    ratio_BT = log_ratio_BT.exp()
    free_BT = ratio_BT * advantages_BT.detach()
    held_BT = ratio_BT.clamp(1 - clip, 1 + clip) * advantages_BT.detach()
    counted = mask_BT.sum() if denominator is None else denominator
    with torch.no_grad():
        old_new_kl = masked_mean(k3(torch.zeros_like(log_ratio_BT), log_ratio_BT), mask_BT)
        clip_fraction = masked_mean((held_BT < free_BT).to(ratio_BT.dtype), mask_BT)
        errors_BT = (ratio_BT - 1).abs()
        max_ratio_error = errors_BT.amax() if errors_BT.numel() else errors_BT.sum()
    loss = -masked_sum(torch.minimum(free_BT, held_BT), mask_BT, dim=None) / counted
    return PolicyLoss(loss, clip_fraction, old_new_kl, max_ratio_error)


def value_loss(
    values_BT: Float[Tensor, "B T"],
    old_values_BT: Float[Tensor, "B T"],
    returns_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    clip: float,
    denominator: float | int | None = None,
) -> ValueLoss:
    """Clipped squared error of the critic, a mean over the counted tokens.

        V_c = V_old + clip(V - V_old, ±c)        ℓ = ½ max((V - R)², (V_c - R)²)

    Its gradient is 0 where V has moved towards R by more than c, and V - R everywhere else.

    Args:
        values_BT: The critic's estimates now, in reward units.
        old_values_BT: Those it made when the tokens were sampled; no gradient flows into them.
        returns_BT: Its targets (`gae`), in reward units; no gradient flows into them.
        mask_BT: True on completion tokens.
        clip: c in reward units, at least 0; `math.inf` never clips.
        denominator: Counted tokens of the whole batch; None takes those of `mask_BT`.

    Returns:
        The loss and its facts. If no token counts, the facts are NaN, and so is the loss unless a denominator
        is given.

    Source:
        Schulman et al. 2016/17, OpenAI baselines `ppo2`; Stiennon et al. 2020, arXiv:2009.01325, code.
    """
    values_BT = torch.where(mask_BT, values_BT, 0.0)  # no gradient, not even NaN, goes back past this
    old_values_BT, returns_BT = old_values_BT.detach(), returns_BT.detach()
    near_BT = values_BT.clamp(old_values_BT - clip, old_values_BT + clip)  # exactly V inside the band
    free_BT = (values_BT - returns_BT).square()
    held_BT = (near_BT - returns_BT).square()
    counted = mask_BT.sum() if denominator is None else denominator
    with torch.no_grad():
        clip_fraction = masked_mean((held_BT > free_BT).to(free_BT.dtype), mask_BT)
        unexplained = masked_variance(returns_BT - values_BT, mask_BT)
        spread = masked_variance(returns_BT, mask_BT)
        explained_variance = torch.where(spread > 0, 1 - unexplained / spread, torch.nan)
    loss = 0.5 * masked_sum(torch.maximum(free_BT, held_BT), mask_BT, dim=None) / counted
    return ValueLoss(loss, clip_fraction, explained_variance)
