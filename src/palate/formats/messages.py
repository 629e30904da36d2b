"""Demonstrations: `messages`, `prompt` and `completion`, or `conversations` as ShareGPT writes them.

The last turn by the assistant is the completion, and everything before it the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Demonstration
from palate.formats.preference import prompt_turns, side_turns, system_used
from palate.formats.shape import Carried, Row, Shape
from palate.formats.turns import Turns, lost_in_turns, prompt_of, turns_in, with_system

_LISTS = ("messages", "conversations")
_THUMBS = ("label", "kto_tag")


def demonstration(turns: Turns, kind: str = "") -> Demonstration:
    """The last turn by the assistant as a demonstration for all turns before it.

    Raises:
        DataError: there is no such turn, it is empty, or no question stands before it.
    """
    answers = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
    if not answers:
        raise DataError("the conversation has no turn by the assistant")
    last = answers[-1]
    if not turns[last].content.strip():
        raise DataError("the completion is empty")
    return Demonstration(prompt=prompt_of(turns[:last], kind), completion=turns[last].content)


def _matches(values: Mapping[str, Any]) -> bool:
    if "chosen" in values or "rejected" in values:
        return False
    has_list = any(isinstance(values.get(name), list) for name in _LISTS)
    pair = [values.get("prompt"), values.get("completion")]
    return has_list or all(isinstance(value, str | list) for value in pair)


def _carry(row: Row) -> Carried:
    values = row.values
    if any(values.get(name) is False for name in _THUMBS):
        raise DataError("the completion is labelled as bad, so it is no demonstration")
    column = next((name for name in _LISTS if isinstance(values.get(name), list)), None)
    if column is not None:
        turns = turns_in(values[column], column)
        used = {column}
    else:
        used = {"prompt", "completion"}
        head = prompt_turns(values.get("prompt"), "prompt")
        turns = (*head, *side_turns(values.get("completion"), "completion"))
        if turns[-1].role != "assistant":
            raise DataError("completion does not end with a turn by the assistant")
    turns = with_system(turns, values.get("system"))
    lost = {key for name in used for key in lost_in_turns(values[name], name)}
    if column is not None and turns[-1].role != "assistant":
        lost.add(f"{column} after the last answer")
    thumbs = {name for name in _THUMBS if values.get(name) is True}
    return Carried(
        demonstrations=(demonstration(turns, row.kind),),
        used=frozenset(used | thumbs | {"kind"} | system_used(turns, values)),
        lost=frozenset(lost),
    )


SHAPE = Shape(
    name="messages",
    columns="`messages`, or `conversations`, or `prompt` and `completion`",
    matches=_matches,
    carry=_carry,
)
"""Demonstrations as conversations."""
