"""OpenAI preference fine-tuning: `input.messages`, `preferred_output` and `non_preferred_output`.

Source: <https://developers.openai.com/api/docs/guides/direct-preference-optimization>. Tools cannot be
carried and are counted as lost; a turn by a tool refuses its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import chosen_pair, split
from palate.formats.turns import lost_in_turns, turns_in

_SIDES = ("preferred_output", "non_preferred_output")


def _matches(values: Mapping[str, Any]) -> bool:
    return all(name in values for name in ("input", *_SIDES))


def _carry(row: Row) -> Carried:
    values = row.values
    asked = values.get("input")
    if not isinstance(asked, dict):
        raise DataError("input is not an object with messages", found=f"`{str(asked)[:40]}`")
    prompt = turns_in(asked.get("messages"), "input.messages")
    sides = tuple(turns_in(values.get(name), name) for name in _SIDES)
    pair = chosen_pair(row, *split(prompt, (sides[0], sides[1]), _SIDES))
    lost = {f"input.{name}" for name, cell in asked.items() if name != "messages" and _says(name, cell)}
    lost |= lost_in_turns(asked["messages"], "input.messages")
    for name in _SIDES:
        lost |= lost_in_turns(values[name], name)
    return Carried(pairs=(pair,), used=frozenset({"input", *_SIDES, "kind"}), lost=frozenset(lost))


def _says(name: str, cell: object) -> bool:
    # `parallel_tool_calls` says nothing where there are no tools, which are lost under their own name.
    return name != "parallel_tool_calls" and not is_blank(cell)


SHAPE = Shape(
    name="openai",
    columns="`input` with `messages`, `preferred_output` and `non_preferred_output`",
    matches=_matches,
    carry=_carry,
)
"""Preferences as OpenAI's fine-tuning takes them."""
