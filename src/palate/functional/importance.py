"""Stale samples: what a completion of an older policy counts for the one being trained.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts".
"""

import math
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.core.errors import ConfigError
from palate.functional.masked import masked_sum

Number = TypeVar("Number", float, Tensor)


class ImportanceWeights(NamedTuple):
    """A weight per completion, and three facts about how stale they are. None has a gradient."""

    weights_B: Float[Tensor, " B"]
    """At least 0, at most the cap; 1 where both policies agree, and in rows without a counted token."""
    truncated: Float[Tensor, ""]
    """Share of completions whose ratio was above the cap, in [0, 1]; each makes the gradient biased."""
    effective: Float[Tensor, ""]
    """(Σ w)² / (B Σ w²): the share of the batch that is worth as much as fresh samples, in (0, 1]."""
    largest_log_ratio: Float[Tensor, ""]
    """Largest |log π/μ| of a completion, in nats, before the cap."""


def sequence_importance(
    logprobs_BT: Float[Tensor, "B T"],
    behaviour_logprobs_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    cap: float,
) -> ImportanceWeights:
    """Truncated ratio of whole completions: with it, stale samples give the gradient of fresh ones.

        w = min(π(y) / μ(y), cap)        E_μ[w f] = E_π[f]  without the cap

    The product over *all* tokens of a completion, because its score stands for all of them: a ratio per token
    corrects the token and forgets that the policy would have arrived there more or less often. The cap
    gives up some of that for a bounded variance. Rows must not be filtered by their own weight.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        behaviour_logprobs_BT: Under μ, the policy *as it sampled*: same temperature, no top-p or top-k that
            its log-probabilities do not know of.
        mask_BT: True on completion tokens.
        cap: At least 1; `math.inf` is unbiased, 2 is usual.

    Returns:
        The weights and their facts; of no completions, the facts are NaN.

    Raises:
        ConfigError: The cap is below 1, which would discount even fresh samples.

    Source:
        Ionides 2008, "Truncated importance sampling".
    """
    if not cap >= 1:
        raise ConfigError(
            "the cap of importance weights is below 1",
            expected="at least 1: the weight of a fresh sample",
            found=f"{cap:g}",
        )
    with torch.no_grad():
        log_ratio_B = masked_sum(logprobs_BT - behaviour_logprobs_BT, mask_BT)
        counts_B = mask_BT.any(-1)
        weights_B = log_ratio_B.clamp(max=math.log(cap)).exp()
        counted_B = torch.where(counts_B, weights_B, 0.0)
        completions = counts_B.sum()
        truncated = masked_sum((log_ratio_B > math.log(cap)).to(weights_B.dtype), counts_B) / completions
        effective = effective_share(counted_B.sum(), counted_B.square().sum(), completions=completions)
        errors_B = log_ratio_B.abs()
        largest = errors_B.amax() if errors_B.numel() else errors_B.sum() * torch.nan
    return ImportanceWeights(weights_B, truncated, effective, largest)


def effective_share(total: Number, squares: Number, *, completions: Number) -> Number:
    """How much of a batch is worth as much as fresh samples: (Σ w)² / (n Σ w²), in (0, 1]. Sums may come in parts.

    Args:
        total: Σ w.
        squares: Σ w².
        completions: n.

    Source:
        Kong 1992 (effective sample size).
    """
    return total * total / (completions * squares)
