"""TRL's implicit prompt in plain texts: `chosen` and `rejected` begin alike, and the prompt is that beginning.

Source: `docs/source/dataset_formats.md` of huggingface/trl. There the beginning is cut at the first letter
that differs; here at the last space before it, so that no word is torn. A file with any other column of
text is not read so, because its prompt probably stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions, chosen_pair
from palate.formats.turns import text_in

_SIDES = ("chosen", "rejected")


def _matches(values: Mapping[str, Any]) -> bool:
    sides = [values.get(name) for name in _SIDES]
    others = [cell for name, cell in values.items() if name not in (*_SIDES, "kind")]
    if not all(isinstance(side, str) for side in sides) or any(_may_be_prompt(cell) for cell in others):
        return False
    return _beginning(str(sides[0]), str(sides[1])) > 0


def _may_be_prompt(cell: object) -> bool:
    return isinstance(cell, str | list | dict) and not is_blank(cell)


def _beginning(one: str, other: str) -> int:
    """How many characters the prompt has: up to the last space within what both share."""
    shorter = min(len(one), len(other))
    shared = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    cut = next((i for i in range(shared - 1, 0, -1) if one[i].isspace()), 0)
    return len(one[:cut].rstrip())


def _carry(row: Row) -> Carried:
    chosen, rejected = (text_in(row.values.get(name), name) for name in _SIDES)
    cut = _beginning(chosen, rejected)
    if not chosen[:cut].strip():
        raise DataError("the two texts do not begin alike, so there is no prompt")
    check_completions(chosen[cut:], rejected[cut:], _SIDES)
    pair = chosen_pair(row, (Message("user", chosen[:cut]),), chosen[cut:], rejected[cut:])
    return Carried(pairs=(pair,), used=frozenset({*_SIDES, "kind"}))


SHAPE = Shape(
    name="implicit",
    columns="`chosen` and `rejected`, texts that begin with the same words, and no other text",
    matches=_matches,
    carry=_carry,
)
"""TRL preferences in plain text, with the prompt in both sides."""
