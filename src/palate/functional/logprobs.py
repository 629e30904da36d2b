"""Log-probabilities and entropies from logits, in nats.

Shapes: `B` sequences, `T` completion tokens, `L` all tokens, `V` vocabulary; flat `(tokens, V)` logits
work as well. Half-precision logits are computed in float32. A sampling temperature τ is the caller's:
pass `logits / τ`, for the policy, the old policy and the reference alike.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.functional.masked import masked_sum


def token_logprobs(logits_BLV: Float[Tensor, "*S V"], tokens_BL: Int[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    r"""Log-probability of each given token.

        log p(a) = zₐ - log Σᵥ exp zᵥ

    Computed as gather minus logsumexp, so that no tensor of log-probabilities over `V` is kept.
    `logits_BLV[:, i]` must be the prediction *of* `tokens_BL[:, i]`: the shift by one is the caller's.

    Args:
        logits_BLV: Unnormalised log-probabilities; -∞ forbids a token.
        tokens_BL: Token ids in [0, V), also in padding.

    Returns:
        Nats, at most 0, in float32 or better.
    """
    wide = _at_least_float32(logits_BLV)
    given = wide.gather(-1, tokens_BL.long().unsqueeze(-1)).squeeze(-1)
    return given - wide.logsumexp(-1)


def sequence_logprobs(logprobs_BT: Float[Tensor, "B T"], mask_BT: Bool[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """Log-probability of each completion: the sum over its tokens, its end token among them.

    Args:
        logprobs_BT: Log-probability per token, in nats.
        mask_BT: True on completion tokens.

    Returns:
        Nats per completion. A sum, not a mean: DPO and the KL penalty are defined on sums.
    """
    return masked_sum(logprobs_BT, mask_BT)


def entropy(logits_BLV: Float[Tensor, "*S V"]) -> Float[Tensor, "*S"]:
    """Entropy of each next-token distribution.

        H = log Σ exp z - Σ p z

    Args:
        logits_BLV: Unnormalised log-probabilities; -∞ forbids a token, which then adds 0.

    Returns:
        Nats in [0, log V].
    """
    logprobs = _at_least_float32(logits_BLV).log_softmax(-1)
    probabilities = logprobs.exp()
    return -(probabilities * torch.where(logprobs.isneginf(), 0.0, logprobs)).sum(-1)


def _at_least_float32(logits: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
