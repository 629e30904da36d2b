"""Draw one token for each of several rows that want it each in their own way.

Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Wish(NamedTuple):
    """How one row is drawn."""

    temperature: float
    """0 takes the likeliest token."""
    top_p: float
    """The smallest set of the likeliest tokens with this much probability is drawn from.

    Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
    """
    uniform: float
    """The row's next number in [0, 1): all the randomness there is."""


class Token(NamedTuple):
    """What was drawn."""

    id: int
    logprob: float
    """Under the model as it is, at temperature 1, in nats."""


def draw(logits_RV: Float[Tensor, "R V"], wishes: Sequence[Wish]) -> list[Token]:
    """One token a row. A row's token depends on its own logits and wish alone."""
    logits_RV = logits_RV.float()
    ids = [_one(logits_V, wish) for logits_V, wish in zip(logits_RV, wishes, strict=True)]
    chosen_R1 = torch.tensor(ids, device=logits_RV.device)[:, None]
    found_R = logits_RV.gather(1, chosen_R1)[:, 0] - logits_RV.logsumexp(dim=-1)
    return [Token(*pair) for pair in zip(ids, found_R.tolist(), strict=True)]


def likeliest(logits_V: Float[Tensor, " V"], count: int) -> list[Token]:
    """The likeliest tokens with their log-probabilities at temperature 1."""
    logprobs_V = logits_V.float().log_softmax(dim=-1)
    found = logprobs_V.topk(min(count, logprobs_V.shape[0]))
    return [Token(*pair) for pair in zip(found.indices.tolist(), found.values.tolist(), strict=True)]


def _one(logits_V: Tensor, wish: Wish) -> int:
    if wish.temperature == 0:
        return int(logits_V.argmax())
    # The greatest is 0 first, so that a very low temperature makes no infinity.
    p_V = ((logits_V - logits_V.max()) / wish.temperature).softmax(dim=-1)
    order_V: Tensor | None = None
    if wish.top_p < 1:
        p_V, order_V = p_V.sort(descending=True, stable=True)
        # A token stays if those before it do not have the probability yet; the first always does.
        before_V = p_V.cumsum(dim=-1) - p_V
        p_V = p_V * (before_V < wish.top_p)
        p_V[0] = p_V[0].clamp_min(torch.finfo(p_V.dtype).tiny)
    until_V = p_V.double().cumsum(dim=-1)
    place = torch.searchsorted(until_V, wish.uniform * until_V[-1], right=True)
    # Rounding must not point past the last token that has a chance.
    place = place.clamp(max=int(p_V.nonzero()[-1]))
    return int(order_V[place] if order_V is not None else place)
