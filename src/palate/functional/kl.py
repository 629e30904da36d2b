"""How far the policy is from the reference: three estimators, the exact value, and a controller.

The estimators take log-probabilities of tokens *sampled from the policy* and estimate, per token,
KL(policy ‖ reference) in nats. Where they are used matters more than their spread (the tests enumerate
every cell of this table):

| estimator | mean | as a penalty inside the reward | as a term of the loss, on-policy |
|---|---|---|---|
| k1 | KL | **right**, the only one | gradient of mean 0: no penalty at all |
| k2 | not KL | pays for suppressing tokens | right (of the whole sequence, not per token) |
| k3 | KL | runs away | gradient of KL(reference ‖ policy): another optimum |

Source: J. Schulman, "Approximating KL Divergence", 2020, http://joschu.net/blog/kl-approx.html.
"""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError, TrainingError

_LARGEST_ERROR: Final = 0.2
"""The controller looks at a relative error of at most this."""


def k1(logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Log-ratio: unbiased, of either sign. The one that belongs into rewards.

        k1 = log π(a) - log π_ref(a)

    Args:
        logprobs: Log-probability of each sampled token under the policy that sampled it, in nats.
        ref_logprobs: The same under the reference.

    Returns:
        Nats per token.
    """
    return logprobs - ref_logprobs


def k2(logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Half the squared log-ratio: biased, never negative; its *gradient* is that of the KL.

        k2 = ½ (log π(a) - log π_ref(a))²

    Args:
        logprobs: Log-probability of each sampled token under the policy that sampled it, in nats.
        ref_logprobs: The same under the reference.

    Returns:
        Nats per token, at least 0.
    """
    return 0.5 * (logprobs - ref_logprobs).square()


def k3(logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Unbiased and never negative, for *reporting* a KL: neither reward nor loss (see the module).

        k3 = ρ - 1 - log ρ,   ρ = π_ref(a) / π(a)

    Args:
        logprobs: Log-probability of each sampled token under the policy that sampled it, in nats.
        ref_logprobs: The same under the reference.

    Returns:
        Nats per token, at least 0.
    """
    log_ratio = ref_logprobs - logprobs
    return log_ratio.expm1() - log_ratio


def exact_kl(logits: Float[Tensor, "*S V"], ref_logits: Float[Tensor, "*S V"]) -> Float[Tensor, "*S"]:
    """KL(policy ‖ reference) of each next-token distribution, summed over the vocabulary.

        KL = Σᵥ p(v) (log p(v) - log p_ref(v))

    Args:
        logits: Of the policy; a token it forbids (-∞) adds 0.
        ref_logits: Of the reference; +∞ where it forbids a token that the policy allows.

    Returns:
        Nats, at least 0 up to rounding.
    """
    logprobs = logits.log_softmax(-1)
    log_ratio = torch.where(logprobs.isneginf(), 0.0, logprobs - ref_logits.log_softmax(-1))
    return (logprobs.exp() * log_ratio).sum(-1)


def adaptive_coefficient(
    coefficient: float, kl_nats: float, target_nats: float, samples: int, horizon_samples: int
) -> float:
    """The KL coefficient for the next iteration: up when the KL is above its target, down when below.

        e = clip(KL / target - 1, ±0.2)        β ← β (1 + e · samples / horizon)

    Call it once per batch, with the KL of completions that the current policy has just sampled.

    Args:
        coefficient: β so far, above 0.
        kl_nats: Measured KL(policy ‖ reference) of whole completions, in nats.
        target_nats: Where it should settle, in nats, above 0.
        samples: Completions since the last call.
        horizon_samples: Completions over which a lasting error of 0.1 moves β by about a tenth.

    Returns:
        The new β, above 0.

    Raises:
        ConfigError: The target or the horizon cannot work.
        TrainingError: The measured KL is not finite.

    Source:
        Ziegler et al. 2019, arXiv:1909.08593, section 2.2.
    """
    if target_nats <= 0:
        raise ConfigError("the KL target is not above 0", expected="a target in nats", found=f"{target_nats}")
    if not 0 <= samples * _LARGEST_ERROR < horizon_samples:
        raise ConfigError(
            "the horizon of the KL controller is too short for the batch",
            expected=f"a horizon above {_LARGEST_ERROR:g} times the batch, so that β stays above 0",
            found=f"a horizon of {horizon_samples} completions, a batch of {samples}",
            hint="make the horizon longer",
        )
    if not math.isfinite(kl_nats):
        raise TrainingError("the KL to the reference is not finite", found=f"{kl_nats}")
    error = min(max(kl_nats / target_nats - 1, -_LARGEST_ERROR), _LARGEST_ERROR)
    return coefficient * (1 + error * samples / horizon_samples)
