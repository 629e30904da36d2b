"""Debates small enough to be solved: a text of evidence, two who quote from it, a judge who sees only what was quoted.

A text has claims, each for one of two answers and of some strength, and rebuttals, each of one earlier item. An item
stands if no standing item of the text rebuts it. The right answer is the one whose standing claims are stronger, by the
whole text. The judge sees the quoted part, where a claim may stand only because nobody quoted what rebuts it; which
items to quote is all that a debater decides. A debate is a finite game of perfect information: what the judge believes
at its end is what the one side gets, and the rest of 1 is the other's.

Shapes: `G` games, `I` items, `U` sets of items (a set is an integer, bit i is item i), `S` states of a turn, `K` states
at the end, `T` turns.

Source: Irving, Christiano and Amodei 2018, arXiv:1805.00899; what stands, for attacks without cycles: Dung 1995, "On
the acceptability of arguments", the grounded extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed

FIRST, SECOND = 0, 1
"""Who moves: the one who argues for the first answer, or for the second."""
DEBATE: Final = (FIRST, SECOND, FIRST, SECOND)
"""Two quotes each, in turns."""
_MOST_ITEMS: Final = 12
"""2^12 sets of items are still a small table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """What texts are like."""

    claims: int = 6
    """Items that speak for an answer."""
    rebuttals: int = 4
    """Items that say why an earlier one, a claim or a rebuttal, does not hold."""
    strengths: tuple[float, float] = (0.5, 1.5)
    """From and to: how strong a claim looks, drawn evenly."""

    def __post_init__(self) -> None:
        if self.claims < 2 or self.rebuttals < 0 or self.items > _MOST_ITEMS:
            raise ConfigError(
                "such texts cannot be played",
                expected=f"2 claims or more, and at most {_MOST_ITEMS} items",
                found=f"{self.claims} claims and {self.rebuttals} rebuttals",
            )
        if not 0 < self.strengths[0] <= self.strengths[1]:
            raise ConfigError("a claim has a strength above 0", found=str(self.strengths))

    @property
    def items(self) -> int:
        """Of a text."""
        return self.claims + self.rebuttals


class Texts(NamedTuple):
    """One text a game."""

    sides_GI: Int[Tensor, "G I"]
    """1 speaks for the first answer, -1 for the second, 0 is a rebuttal."""
    strengths_GI: Float[Tensor, "G I"]
    """0 for rebuttals."""
    targets_GI: Int[Tensor, "G I"]
    """What a rebuttal rebuts, always an earlier item; -1 for claims."""
    stands_GU: Int[Tensor, "G U"]
    """Which items of a set stand when the set is all there is."""

    @property
    def first_is_right_G(self) -> Bool[Tensor, " G"]:
        """By the whole text."""
        return self.net_GU[:, -1] > 0

    @property
    def net_GU(self) -> Float[Tensor, "G U"]:
        """Strength of the standing claims for the first answer, less that for the second."""
        return sums(self.sides_GI * self.strengths_GI).gather(1, self.stands_GU)


def draw(config: TextConfig, count: int, seed: int) -> Texts:
    """Texts in dispute: either answer has a claim, and one of the answers is right."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "texts"))
    found: list[Texts] = []
    left = count
    while left:
        some = _drawn(config, 2 * left + 8, generator)
        both_G = (some.sides_GI == 1).any(-1) & (some.sides_GI == -1).any(-1)
        kept = torch.nonzero(both_G & (some.net_GU[:, -1] != 0)).flatten()[:left]
        found.append(Texts(*(part[kept] for part in some)))
        left -= len(kept)
    return Texts(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _drawn(config: TextConfig, count: int, generator: torch.Generator) -> Texts:
    shape = (count, config.items)
    is_claim_I = torch.arange(config.items) < config.claims
    coins_GI = torch.randint(2, shape, generator=generator) * 2 - 1
    low, high = config.strengths
    looks_GI = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
    earlier_GI = (torch.rand(shape, generator=generator, dtype=torch.float64) * torch.arange(config.items)).long()
    return texts(
        torch.where(is_claim_I, coins_GI, 0), torch.where(is_claim_I, looks_GI, 0.0),
        torch.where(is_claim_I, -1, earlier_GI),
    )  # fmt: skip


def texts(sides_GI: Tensor, strengths_GI: Tensor, targets_GI: Tensor) -> Texts:
    """Texts of their items, with what stands of every set of them."""
    count, items = sides_GI.shape
    sets_U = torch.arange(1 << items)
    stands_GU = torch.zeros(count, 1 << items, dtype=torch.long)
    for item in reversed(range(items)):  # whatever rebuts an item comes after it, and is settled already
        falls_GU = torch.zeros(count, 1 << items, dtype=torch.bool)
        for later in range(item + 1, items):
            falls_GU |= (targets_GI[:, later] == item).unsqueeze(-1) & _holds(stands_GU, later)
        stands_GU |= (_holds(sets_U, item) & ~falls_GU).long() << item
    return Texts(sides_GI, strengths_GI, targets_GI, stands_GU)


def _holds(sets: Tensor, item: int) -> Tensor:
    return (sets >> item & 1).bool()


def sums(worth_GI: Float[Tensor, "G I"]) -> Float[Tensor, "G U"]:
    """What the items of each set are worth together."""
    total_GU = worth_GI.new_zeros(len(worth_GI), 1)
    for item in range(worth_GI.shape[1]):
        total_GU = torch.cat([total_GU, total_GU + worth_GI[:, item : item + 1]], dim=-1)
    return total_GU


class Turn(NamedTuple):
    """All states in which somebody is to quote."""

    mover: int
    first_S: Int[Tensor, " S"]
    """What the one side has quoted, a set."""
    second_S: Int[Tensor, " S"]
    next_SI: Int[Tensor, "S I"]
    """Where each quote leads, among the states of the next turn; 0 where it may not be quoted."""
    mask_SI: Bool[Tensor, "S I"]
    """True where an item is still to be quoted."""

    @property
    def used_S(self) -> Int[Tensor, " S"]:
        """What was quoted by either."""
        return self.first_S | self.second_S


class Tree(NamedTuple):
    """Every course that a debate can take; courses that quoted the same, by the same, are one state."""

    turns: tuple[Turn, ...]
    first_K: Int[Tensor, " K"]
    """What the one side has quoted when all is said."""
    second_K: Int[Tensor, " K"]


@lru_cache(maxsize=16)
def tree(movers: tuple[int, ...], items: int) -> Tree:
    """The tree of a protocol.

    Raises:
        ConfigError: there are fewer items than turns, or nobody moves.
    """
    if not 0 < len(movers) <= items:
        raise ConfigError("there is too little to quote", expected=f"1 to {items} turns", found=str(len(movers)))
    states: list[tuple[int, int]] = [(0, 0)]
    turns = []
    for mover in movers:
        places: dict[tuple[int, int], int] = {}
        next_SI = torch.zeros(len(states), items, dtype=torch.long)
        mask_SI = torch.zeros(len(states), items, dtype=torch.bool)
        for place, said in enumerate(states):
            for item in range(items):
                if not (said[0] | said[1]) >> item & 1:
                    after = list(said)
                    after[mover] |= 1 << item
                    next_SI[place, item] = places.setdefault((after[0], after[1]), len(places))
                    mask_SI[place, item] = True
        first_S, second_S = torch.tensor(states).unbind(-1)
        turns.append(Turn(mover, first_S, second_S, next_SI, mask_SI))
        states = list(places)
    first_K, second_K = torch.tensor(states).unbind(-1)
    return Tree(tuple(turns), first_K, second_K)


Chances = Sequence[Float[Tensor, "G S I"]]
"""How probable each quote is, turn by turn; 0 where it may not be made."""


def value(
    tree: Tree, payoff_GK: Float[Tensor, "G K"], first: Chances | None = None, second: Chances | None = None
) -> Float[Tensor, " G"]:
    """What the first side gets, by backward induction.

        V(s) = maxᵢ V(s·i)  at the first side's turns,  minᵢ V(s·i)  at the second's,  Σᵢ π(i|s) V(s·i)  by a policy

    Args:
        tree: Every course.
        payoff_GK: What the first side gets at each end.
        first: How the first side plays; None plays as well as can be, and knows the other's policy if there is one.
        second: The same of the second side, who wants the payoff to be small.

    Returns:
        With no policy the minimax value; with one the best response to it; with two what they come to.
    """
    now_GK = payoff_GK
    for number, turn in reversed(list(enumerate(tree.turns))):
        after_GSI = now_GK[:, turn.next_SI]
        chances = (first, second)[turn.mover]
        if chances is not None:
            now_GK = (chances[number] * after_GSI).sum(-1)
        elif turn.mover == FIRST:
            now_GK = after_GSI.masked_fill(~turn.mask_SI, -torch.inf).amax(-1)
        else:
            now_GK = after_GSI.masked_fill(~turn.mask_SI, torch.inf).amin(-1)
    return now_GK[:, 0]


def best(tree: Tree, payoff_GK: Float[Tensor, "G K"]) -> list[Float[Tensor, "G S I"]]:
    """A minimax strategy of both sides: all the weight on a best quote, the earliest item of several."""
    now_GK, found = payoff_GK, []
    for turn in reversed(tree.turns):
        sign = 1 if turn.mover == FIRST else -1
        after_GSI = (sign * now_GK[:, turn.next_SI]).masked_fill(~turn.mask_SI, -torch.inf)
        found.append(torch.nn.functional.one_hot(after_GSI.argmax(-1), after_GSI.shape[-1]).to(payoff_GK.dtype))
        now_GK = sign * after_GSI.amax(-1)
    return found[::-1]


def even(tree: Tree, games: int) -> list[Float[Tensor, "G S I"]]:
    """Quotes drawn with equal chances."""
    return [(t.mask_SI.double() / t.mask_SI.sum(-1, keepdim=True)).expand(games, -1, -1) for t in tree.turns]


class Regret(NamedTuple):
    """How far two players are from a pair that nobody can beat."""

    value_G: Float[Tensor, " G"]
    """What they come to."""
    minimax_G: Float[Tensor, " G"]
    exploitability_G: Float[Tensor, " G"]
    """What a perfect opponent wins over the minimax value, mean of both sides; 0 for a solution, never below."""


def regret(tree: Tree, payoff_GK: Float[Tensor, "G K"], chances: Chances) -> Regret:
    """Hold a policy that plays both sides against the solution."""
    against_first_G = value(tree, payoff_GK, first=chances)
    against_second_G = value(tree, payoff_GK, second=chances)
    return Regret(
        value(tree, payoff_GK, chances, chances), value(tree, payoff_GK), (against_second_G - against_first_G) / 2
    )
