"""Log-probabilities and entropies from logits, in nats.

Shapes: `B` sequences, `T` completion tokens, `L` all tokens, `V` vocabulary; flat `(tokens, V)` logits
work as well. Half-precision logits are computed in float32. A sampling temperature τ is the caller's:
pass `logits / τ`, for the policy, the old policy and the reference alike.
"""

from collections.abc import Iterator
from typing import Any, Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from palate.functional.masked import masked_sum

_BLOCK_NUMBERS: Final = 2**20
"""Logits are worked through in blocks of about this many numbers, which stay in a processor's cache."""


def token_logprobs(logits_BLV: Float[Tensor, "*S V"], tokens_BL: Int[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    r"""Log-probability of each given token.

        log p(a) = zₐ - log Σᵥ exp zᵥ

    `logits_BLV[:, i]` must be the prediction *of* `tokens_BL[:, i]`: the shift by one is the caller's.
    Nothing as large as the logits is made on the way forward, and only their gradient on the way back. That
    gradient is exactly 0 wherever none arrives, so that a NaN among the logits of padding stays there.

    Args:
        logits_BLV: Unnormalised log-probabilities; -∞ forbids a token.
        tokens_BL: Token ids in [0, V), also in padding.

    Returns:
        Nats, at most 0, in float32 or better.
    """
    tokens = tokens_BL.long()
    if logits_BLV.is_contiguous() or logits_BLV.dim() < 3:  # a slice of a batch would be copied by it
        logits_BLV, tokens = logits_BLV.reshape(-1, logits_BLV.shape[-1]), tokens.flatten()
    logprobs: Tensor = _TokenLogprobs.apply(logits_BLV, tokens)  # type: ignore[no-untyped-call]
    return logprobs.view_as(tokens_BL)


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

        H = -Σᵥ p(v) log p(v)

    Args:
        logits_BLV: Unnormalised log-probabilities; -∞ forbids a token, which then adds 0.

    Returns:
        Nats in [0, log V].
    """
    logprobs = _at_least_float32(logits_BLV).log_softmax(-1)
    return -(logprobs.exp() * torch.where(logprobs.isneginf(), 0.0, logprobs)).sum(-1)


class _TokenLogprobs(torch.autograd.Function):
    """`token_logprobs` for one batch axis or more; keeps the logits for the way back, and nothing else."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor) -> Tensor:
        """Blockwise log-softmax, of which one number a row is kept."""
        ctx.save_for_backward(logits, tokens)
        return torch.cat(
            [
                _at_least_float32(block).log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
                for block, ids in _blocks(logits, tokens)
            ]
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """∂ log p(a) / ∂zᵥ = [v = a] - p(v)."""
        logits, tokens = ctx.saved_tensors
        result = torch.empty_like(logits)
        for out, block, ids, g in _blocks(result, logits, tokens.unsqueeze(-1), gradient.unsqueeze(-1)):
            p = _at_least_float32(block).softmax(-1)
            out.copy_(p.mul_(-g).scatter_add_(-1, ids, g).masked_fill_(g == 0, 0.0))
        return result, None


def _blocks(first: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    rows = max(1, _BLOCK_NUMBERS // first.shape[1:].numel())
    return zip(*(tensor.split(rows) for tensor in (first, *others)), strict=True)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
