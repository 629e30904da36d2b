"""Preferences as TRL writes them: `chosen` and `rejected`, with a `prompt` or sharing their first turns.

Each of the three may be a text or a list of messages. A prompt may also be called `conversations` or
`messages`, and the sides may repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats import hh
from palate.formats.shape import Carried, Row, Shape
from palate.formats.sides import answer, chosen_pair, split
from palate.formats.turns import Turns, lost_in_turns, text_in, turns_in, with_system

_PROMPT_COLUMNS = ("prompt", "conversations", "messages")
_SIDES = ("chosen", "rejected")


def prompt_turns(value: object, name: str) -> Turns:
    """The turns of a prompt that is a text or a list of messages.

    Raises:
        DataError: it is neither.
    """
    return hh.question(value, name) if isinstance(value, str) else turns_in(value, name)


def side_turns(value: object, name: str) -> Turns:
    """The turns of a side that is an answer alone, or a list of messages that ends with one.

    Raises:
        DataError: it is neither.
    """
    return turns_in(value, name) if isinstance(value, list | dict) else answer(text_in(value, name))


def _matches(values: Mapping[str, Any]) -> bool:
    sides = [values.get(name) for name in _SIDES]
    if not all(isinstance(side, str | list | dict) for side in sides):
        return False
    has_prompt = any(isinstance(values.get(name), str | list) for name in _PROMPT_COLUMNS)
    return has_prompt or all(isinstance(side, list) for side in sides)


def _carry(row: Row) -> Carried:
    values = row.values
    column = next((name for name in _PROMPT_COLUMNS if values.get(name)), None)
    if column == "messages" and _is_conversation(values.get("chosen")):
        column = None  # some files repeat the chosen conversation as `messages`
    prompt = None if column is None else with_system(prompt_turns(values[column], column), values.get("system"))
    if prompt is None and any(isinstance(values.get(name), str) for name in _SIDES):
        raise DataError("the row has no prompt", expected=f"one of {', '.join(_PROMPT_COLUMNS)}")
    chosen, rejected = (side_turns(values.get(name), name) for name in _SIDES)
    pair = chosen_pair(row, *split(prompt, (chosen, rejected), _SIDES))
    used = frozenset({*_SIDES, "kind"} | ({column} if column else set()) | system_used(prompt, values))
    lost = frozenset().union(*(lost_in_turns(values[name], name) for name in used if name in values))
    return Carried(pairs=(pair,), used=used | _repeated(values), lost=lost)


def system_used(turns: Turns | None, values: Mapping[str, Any]) -> set[str]:
    """The column `system`, where the turns begin with what it says."""
    head = turns[0] if turns else None
    return {"system"} if head and head.role == "system" and head.content == values.get("system") else set()


def _is_conversation(side: object) -> bool:
    return isinstance(side, list) and len(side) > 1


def _repeated(values: Mapping[str, Any]) -> frozenset[str]:
    """`messages`, where it is the chosen conversation once more."""
    return frozenset({"messages"} if values.get("messages") == values.get("chosen") else ())


SHAPE = Shape(
    name="preference",
    columns="`chosen` and `rejected`, and `prompt` unless they are lists of messages",
    matches=_matches,
    carry=_carry,
)
"""TRL preferences, with an explicit or an implicit prompt."""
