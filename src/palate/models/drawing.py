"""Draw tokens from logits, exactly and cheaply.

Shapes: B rows, V vocabulary, K blocks of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

_BLOCK: Final = 64
"""Tokens whose probabilities are first summed as one: a running sum over all of a vocabulary is slow."""


class Drawn(NamedTuple):
    """One token a row."""

    tokens_B: Int[Tensor, " B"]
    logprobs_B: Float[Tensor, " B"]
    """Of the token under the distribution that it was drawn from, in nats, in float32 or better."""


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """Half precision is too coarse for probabilities."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def draw(logits_BV: Float[Tensor, "B V"], uniforms_B: Float[Tensor, " B"], temperature: float) -> Drawn:
    """The token at which the running sum of probabilities passes the row's uniform number.

    First the block of tokens is found in which it does, then the token. That one number a row is all the
    randomness, so a row depends on nothing but its logits and its number.

    Args:
        logits_BV: In any precision.
        uniforms_B: In [0, 1).
        temperature: 0 takes the most likely token; its log-probability is then that at temperature 1.
    """
    logits_BV = logits_BV.to(at_least_single(logits_BV.dtype))
    if temperature not in (0, 1):
        logits_BV = logits_BV / temperature
    p_BV = torch.softmax(logits_BV, dim=-1)
    if temperature == 0:
        tokens_B = logits_BV.argmax(dim=-1)
        return Drawn(tokens_B, p_BV.gather(1, tokens_B[:, None])[:, 0].log())
    rows, vocabulary = p_BV.shape
    rest = -vocabulary % _BLOCK
    blocks = (F.pad(p_BV, (0, rest)) if rest else p_BV).view(rows, -1, _BLOCK)
    before_BK = F.pad(blocks.sum(dim=-1).cumsum(dim=-1), (1, 0))
    total_B1, until_BK = before_BK[:, -1:], before_BK[:, 1:].contiguous()
    target_B1 = _inside(uniforms_B.to(p_BV.dtype)[:, None] * total_B1, total_B1)
    # Clamped for logits that are not numbers: their log-probabilities say so, and no index goes astray.
    block_B1 = torch.searchsorted(until_BK, target_B1, right=True).clamp_(max=blocks.shape[1] - 1)
    within = blocks[torch.arange(rows, device=p_BV.device), block_B1[:, 0]].cumsum(dim=-1)
    target_B1 = _inside(target_B1 - before_BK.gather(1, block_B1), within[:, -1:])
    tokens_B1 = torch.searchsorted(within, target_B1, right=True).add_(block_B1, alpha=_BLOCK)
    tokens_B1.clamp_(max=vocabulary - 1)
    return Drawn(tokens_B1[:, 0], p_BV.gather(1, tokens_B1)[:, 0].log_())


def _inside(target: Tensor, total: Tensor) -> Tensor:
    """A little less than the total at most, so that rounding never points past the last token that has a chance."""
    return torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))
