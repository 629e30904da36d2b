"""A debate solved in the slow and obvious way: every course of it, on lists, with nothing of the world's tables.

It is here to disagree with `palate.world.exact.debate` should that be wrong. A text is lists of sides, strengths and
targets; the judge is counted and weighed anew at each end. Alpha-beta leaves out only what cannot matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Text(NamedTuple):
    """What can be quoted."""

    sides: Sequence[int]
    strengths: Sequence[float]
    targets: Sequence[int]


Quotes = tuple[tuple[int, int], ...]
"""Who quoted which item, in order; 0 is the first side."""


def standing(text: Text, items: set[int]) -> set[int]:
    """What stands of some items: what nothing that stands rebuts."""
    found: set[int] = set()
    for item in sorted(items, reverse=True):
        if not any(text.targets[other] == item for other in found):
            found.add(item)
    return found


def right(text: Text) -> bool:
    """Whether the first answer is."""
    return sum(text.sides[i] * text.strengths[i] for i in standing(text, set(range(len(text.sides))))) > 0


def belief(text: Text, quotes: Quotes, weights: Sequence[float]) -> float:
    """What a judge with these weights believes of the first answer."""
    quoted = {item for _, item in quotes}
    stands = standing(text, quoted)
    numbers = []
    for who, side in ((0, 1), (1, -1)):
        claims = [item for item in quoted if text.sides[item] == side]
        up, down = [i for i in claims if i in stands], [i for i in claims if i not in stands]
        given_away = [i for i in up if (1 - who, i) in quotes]
        mine = [item for by, item in quotes if by == who and text.sides[item] == 0]
        idle = [item for item in mine if text.targets[item] not in quoted]
        numbers += [
            sum(text.strengths[i] for i in up), len(up), sum(text.strengths[i] for i in down), len(down),
            sum(text.strengths[i] for i in given_away),
            sum(item in stands and item not in idle for item in mine), len(idle),
        ]  # fmt: skip
    logit = sum(a * b for a, b in zip([*numbers, 1.0], weights, strict=True))
    return 1 / (1 + math.exp(-logit))


def minimax(
    text: Text, movers: Sequence[int], weights: Sequence[float], quotes: Quotes = (),
    low: float = -math.inf, high: float = math.inf,
) -> float:  # fmt: skip
    """What the first side gets when both quote as well as can be."""
    if len(quotes) == len(movers):
        return belief(text, quotes, weights)
    who = movers[len(quotes)]
    best = -math.inf if who == 0 else math.inf
    for item in range(len(text.sides)):
        if any(item == other for _, other in quotes):
            continue
        found = minimax(text, movers, weights, (*quotes, (who, item)), low, high)
        if who == 0:
            best, low = max(best, found), max(low, found)
        else:
            best, high = min(best, found), min(high, found)
        if low >= high:
            break
    return best
