"""Answers of up to eight letters and an end, all 87,381 of them, and policies that are tables.

Unlike the sentences of `language`, answers differ in length, so that a policy can pad, or say nothing at all. A
policy is a table of logits: a row for each place and the two letters before it.

Shapes: `K` all answers, `T` letters of the longest, `V` letters and the end, `C` rows of a table, `B` samples.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError

LETTERS: Final = 4
LONGEST: Final = 8
END: Final = LETTERS
"""The token that ends an answer; an answer of `LONGEST` letters needs none."""
_BEGIN: Final = LETTERS + 1
"""What stands before the first letter."""
_BEFORE: Final = LETTERS + 2
"""Letters, the end and the beginning: what may stand before a place."""
ROWS: Final = LONGEST * _BEFORE * _BEFORE
"""C, of a policy's table."""
SIGHTS: Final = ("letters", "pairs", "triples")
"""What a model sees of an answer, each of them the ones before it too, and its length."""


class Answers(NamedTuple):
    """Every answer."""

    tokens_KT: Int[Tensor, "K T"]
    """Letters, then ends."""
    mask_KT: Bool[Tensor, "K T"]
    """True on letters, and on the end where there is room for one."""
    rows_KT: Int[Tensor, "K T"]
    """The row of a policy's table before each token."""
    lengths_K: Int[Tensor, " K"]
    counts_KV: Float[Tensor, "K V"]
    """How often each letter stands in it; V is the letters alone."""
    pairs_KP: Float[Tensor, "K P"]
    """How often each pair of neighbours does, first letter major."""


@cache
def answers() -> Answers:
    """All answers, the shortest first, those of one length in the order of counting."""
    tokens = []
    for length in range(LONGEST + 1):
        places = LETTERS ** torch.arange(length - 1, -1, -1)
        letters = torch.arange(LETTERS**length).unsqueeze(-1) // places % LETTERS
        tokens.append(torch.nn.functional.pad(letters, (0, LONGEST - length), value=END))
    tokens_KT = torch.cat(tokens)
    lengths_K = (tokens_KT != END).sum(-1)
    mask_KT = torch.arange(LONGEST) <= lengths_K.unsqueeze(-1)
    counts_KV = torch.stack([(tokens_KT == letter).sum(-1) for letter in range(LETTERS)], dim=-1).double()
    one, other = tokens_KT[:, :-1], tokens_KT[:, 1:]
    codes = torch.where(other != END, one * LETTERS + other, LETTERS**2)
    pairs = torch.zeros(len(tokens_KT), LETTERS**2 + 1, dtype=torch.float64)
    pairs.scatter_add_(1, codes, torch.ones_like(codes, dtype=torch.float64))
    return Answers(tokens_KT, mask_KT, _rows(tokens_KT), lengths_K, counts_KV, pairs[:, :-1])


def numbers(tokens_BT: Int[Tensor, "B T"]) -> Int[Tensor, " B"]:
    """Which of `answers` each row is."""
    lengths_B, number_B = (tokens_BT != END).sum(-1), torch.zeros(len(tokens_BT), dtype=torch.long)
    for place in range(LONGEST):
        further_B = number_B * LETTERS + tokens_BT[:, place].clamp(max=LETTERS - 1)
        number_B = torch.where(place < lengths_B, further_B, number_B)
    return number_B + (LETTERS**lengths_B - 1) // (LETTERS - 1)


def all_logprobs(logits_CV: Float[Tensor, "C V"]) -> Float[Tensor, " K"]:
    """Log π of every answer, in nats; their exponentials sum to 1."""
    every = answers()
    return (logits_CV.log_softmax(-1)[every.rows_KT, every.tokens_KT] * every.mask_KT).sum(-1)


@cache
def seen(sees: str) -> Float[Tensor, "K D"]:
    """Features of all answers: how often each pair of letters stands in it, each letter, its length, each triple.

    Args:
        sees: One of `SIGHTS`.

    Raises:
        ConfigError: nobody sees so.
    """
    if sees not in SIGHTS:
        raise ConfigError("nobody sees so", expected=", ".join(SIGHTS), found=repr(sees))
    every = answers()
    parts = [every.counts_KV, every.lengths_K.double().unsqueeze(-1)]
    if sees != "letters":
        parts.insert(0, every.pairs_KP)
    if sees == "triples":
        parts.append(triples())
    return torch.cat(parts, dim=-1)


@cache
def triples() -> Float[Tensor, "K D"]:
    """How often each three neighbours stand in each answer, the first letter major."""
    tokens_KT = answers().tokens_KT
    one, two, three = tokens_KT[:, :-2], tokens_KT[:, 1:-1], tokens_KT[:, 2:]
    codes = torch.where(three != END, (one * LETTERS + two) * LETTERS + three, LETTERS**3)
    counts = torch.zeros(len(tokens_KT), LETTERS**3 + 1, dtype=torch.float64)
    counts.scatter_add_(1, codes, torch.ones_like(codes, dtype=torch.float64))
    return counts[:, :-1]


class Samples(NamedTuple):
    """Answers that a policy drew."""

    tokens_BT: Int[Tensor, "B T"]
    mask_BT: Bool[Tensor, "B T"]
    rows_BT: Int[Tensor, "B T"]
    """Rows of the table that they were drawn from."""

    def logprobs(self, logits_CV: Float[Tensor, "C V"]) -> Float[Tensor, "B T"]:
        """Of each token under any policy, in nats; with a gradient if the table has one."""
        return logits_CV.log_softmax(-1)[self.rows_BT, self.tokens_BT]


def sample(logits_CV: Float[Tensor, "C V"], count: int, generator: torch.Generator) -> Samples:
    """Answers drawn letter by letter."""
    upto_CV = logits_CV.softmax(-1).cumsum(-1)
    tokens_BT = torch.full((count, LONGEST), END)
    alive_B = torch.ones(count, dtype=torch.bool)
    last_B, before_B = torch.full((count,), _BEGIN), torch.full((count,), _BEGIN)
    for place in range(LONGEST):
        places_B1 = torch.rand(count, 1, generator=generator, dtype=upto_CV.dtype)
        drawn_B = (upto_CV[_row(place, last_B, before_B)] < places_B1).sum(-1).clamp(max=END)
        tokens_BT[:, place] = torch.where(alive_B, drawn_B, END)
        alive_B = alive_B & (drawn_B != END)
        last_B, before_B = tokens_BT[:, place], last_B
    mask_BT = torch.arange(LONGEST) <= (tokens_BT != END).sum(-1, keepdim=True)
    return Samples(tokens_BT, mask_BT, _rows(tokens_BT))


def _rows(tokens_BT: Tensor) -> Tensor:
    begin_B1 = tokens_BT.new_full((len(tokens_BT), 1), _BEGIN)
    last_BT = torch.cat([begin_B1, tokens_BT[:, :-1]], dim=1)
    before_BT = torch.cat([begin_B1, last_BT[:, :-1]], dim=1)
    return _row(torch.arange(LONGEST), last_BT, before_BT)


def _row(place: int | Tensor, last: Tensor, before: Tensor) -> Tensor:
    return (place * _BEFORE + last) * _BEFORE + before
