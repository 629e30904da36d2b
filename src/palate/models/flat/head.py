"""Log-probs of chosen tokens from hidden states, with at most one buffer as large as the logits.

The logits of a block become, in place, what their own gradient needs; on the way back the gradient takes that place.
Where all blocks together would be too large, none is kept, and each is computed again.

Shapes: N states whose next token is asked for, D features, V vocabulary.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

KEPT_NUMBERS: Final = 2**26
"""As many logits are kept for the way back: a quarter of a gigabyte in single precision."""
_BLOCK_NUMBERS: Final = 2**19
"""Logits are worked through in blocks of about so many numbers, which stay in a processor's cache."""
_BLOCK_ROWS: Final = 64
"""And of at least so many rows, or the product becomes slow."""


class Chosen(NamedTuple):
    """What is known of each state's next token."""

    logprobs_N: Float[Tensor, " N"]
    """Nats."""
    entropy_N: Float[Tensor, " N"]
    """Of the distribution, in nats, without gradient; empty where it was not asked for."""


def chosen_logprobs(
    states_ND: Float[Tensor, "N D"],
    weight_VD: Float[Tensor, "V D"],
    tokens_N: Int[Tensor, " N"],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    kept: int = KEPT_NUMBERS,
) -> Chosen:
    r"""Log-probability of each given token, of logits W h / τ, in float32 or better.

        log p(a) = zₐ - log Σᵥ exp zᵥ        ∂ log p(a) / ∂zᵥ = [v = a] - p(v)

    Args:
        states_ND: Last hidden states.
        weight_VD: Of the output layer.
        tokens_N: What follows each state.
        temperature: τ.
        entropy: Whether the entropies are wanted.
        kept: Most logits to keep for the way back.
    """
    device = states_ND.device.type
    if torch.is_autocast_enabled(device):
        half = torch.get_autocast_dtype(device)
        states_ND, weight_VD = states_ND.to(half), weight_VD.to(half)
    with torch.autocast(device, enabled=False):
        found = _ChosenLogprobs.apply(states_ND, weight_VD, tokens_N, temperature, entropy, kept)  # type: ignore[no-untyped-call]
    return Chosen(*found)


class _ChosenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, tokens: Tensor, temperature: float, entropy: bool, kept: int
    ) -> tuple[Tensor, Tensor]:
        rows = max(_BLOCK_ROWS, _BLOCK_NUMBERS // len(weight))
        wide = torch.promote_types(states.dtype, torch.float32)
        graph = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        keep = graph and len(tokens) * len(weight) <= kept
        buffer = states.new_empty(len(tokens), len(weight), dtype=wide) if keep else None
        logprobs, entropies = (
            states.new_empty(len(tokens), dtype=wide),
            states.new_empty(len(tokens) if entropy else 0, dtype=wide),
        )
        totals = torch.empty_like(logprobs)
        for start in range(0, len(tokens), rows):
            part = slice(start, start + rows)
            logits = _logits(states[part], weight, temperature, None if buffer is None else buffer[part])
            logits.sub_(logits.amax(1, keepdim=True))
            own = logits.gather(1, tokens[part, None])[:, 0]
            centred = logits.clone() if entropy else None
            total = torch.sum(logits.exp_(), 1, out=totals[part])
            torch.sub(own, total.log(), out=logprobs[part])
            if centred is not None:
                torch.sub(total.log(), centred.mul_(logits).nansum(1).div_(total), out=entropies[part])
        ctx.mark_non_differentiable(entropies)
        ctx.save_for_backward(states, weight, tokens, totals)
        ctx.buffer, ctx.temperature, ctx.rows, ctx.kept = buffer, temperature, rows, keep
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, tokens, totals = ctx.saved_tensors
        buffer, ctx.buffer = ctx.buffer, None
        if ctx.kept and buffer is None:
            raise RuntimeError("these log-probs went backwards before: their buffer is used up")
        d_states = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        d_weight: Tensor | None = None
        for start in range(0, len(tokens), ctx.rows):
            part = slice(start, start + ctx.rows)
            g = gradient[part]
            if buffer is None:
                p = _logits(states[part], weight, ctx.temperature, None)
                p.sub_(p.amax(1, keepdim=True)).exp_()
            else:
                p = buffer[part]
            p.mul_((-g / totals[part])[:, None])
            p.scatter_add_(1, tokens[part, None], g[:, None])
            d_logits = p.to(states.dtype)
            if d_states is not None:
                torch.mm(d_logits, weight, out=d_states[part])
            if ctx.needs_input_grad[1]:
                d_weight = d_logits.T @ states[part] if d_weight is None else d_weight.addmm_(d_logits.T, states[part])
        for found in (d_states, d_weight):
            if found is not None and ctx.temperature != 1.0:
                found.div_(ctx.temperature)
        return d_states, d_weight, None, None, None, None


def _logits(states: Tensor, weight: Tensor, temperature: float, out: Tensor | None) -> Tensor:
    if out is not None and out.dtype == states.dtype:
        logits = torch.mm(states, weight.T, out=out)
    else:
        logits = (states @ weight.T).to(torch.promote_types(states.dtype, torch.float32))
        logits = logits if out is None else out.copy_(logits)
    return logits if temperature == 1.0 else logits.div_(temperature)
