"""Alpaca: demonstrations as `instruction`, `input` and `output`; preferences with `chosen` and `rejected`.

The input stands below the instruction, after an empty line. `system` and `history` (a list of earlier
questions and answers) go before it. A preference is no demonstration: its `output` may well be the text
that was rejected, so it is not carried as one, and counted as lost unless it repeats a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message
from palate.formats.messages import demonstration
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import answer, chosen_pair, split
from palate.formats.turns import Turns, text_in

_INPUTS = ("input", "context")
_OUTPUTS = ("output", "response")
_SIDES = ("chosen", "rejected")


def _matches(values: Mapping[str, Any]) -> bool:
    has_output = any(isinstance(values.get(name), str) for name in _OUTPUTS)
    has_sides = all(name in values for name in _SIDES)
    return isinstance(values.get("instruction"), str) and (has_output or has_sides)


def _carry(row: Row) -> Carried:
    values = row.values
    turns = _question(values)
    inputs = next((name for name in _INPUTS if not is_blank(values.get(name))), "input")
    used = frozenset({"instruction", inputs, "system", "history", "kind"})
    if any(name in values for name in _SIDES):
        chosen, rejected = (answer(text_in(values.get(name), name)) for name in _SIDES)
        pair = chosen_pair(row, *split(turns, (chosen, rejected), _SIDES))
        texts = [values[name] for name in _SIDES]
        repeated = {name for name in _OUTPUTS if values.get(name) in texts}
        return Carried(pairs=(pair,), used=used | set(_SIDES) | repeated)
    output = next((name for name in _OUTPUTS if not is_blank(values.get(name))), None)
    if output is None:
        raise DataError("the completion is empty")
    shown = demonstration((*turns, *answer(text_in(values[output], output))), row.kind)
    return Carried(demonstrations=(shown,), used=used | {output})


def _question(values: Mapping[str, Any]) -> Turns:
    instruction = text_in(values.get("instruction"), "instruction")
    if not instruction.strip():
        raise DataError("the instruction is empty")
    turns = []
    if not is_blank(values.get("system")):
        turns.append(Message("system", text_in(values["system"], "system")))
    turns.extend(_history(values.get("history")))
    extra = next((values[name] for name in _INPUTS if not is_blank(values.get(name))), None)
    text = instruction if extra is None else f"{instruction}\n\n{text_in(extra, 'input')}"
    return (*turns, Message("user", text))


def _history(history: object) -> list[Message]:
    if is_blank(history):
        return []
    if not isinstance(history, list) or not all(isinstance(turn, list) and len(turn) == 2 for turn in history):
        raise DataError("history is not a list of questions and answers", found=f"`{str(history)[:40]}`")
    texts = [text_in(text, "history") for turn in history for text in turn]
    return [Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]


SHAPE = Shape(
    name="alpaca",
    columns="`instruction` and `output`, or `instruction`, `chosen` and `rejected`; `input` if there is one",
    matches=_matches,
    carry=_carry,
)
"""Instructions with demonstrations or preferences."""
