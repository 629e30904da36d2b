"""Plain prompts: a column `prompt`, or a text file with one prompt a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.turns import lost_in_turns, prompt_of

_ANSWER = re.compile(r"answer|chosen|completion|generat|output|prefer|rejected|repl(y|ies)|respons|verdict|winner")


def _matches(values: Mapping[str, Any]) -> bool:
    # A file with answers under names that nobody knows must not pass for a list of prompts.
    others = (name.lower() for name in values if name != "prompt")
    return isinstance(values.get("prompt"), str | list) and not any(_ANSWER.search(name) for name in others)


def _carry(row: Row) -> Carried:
    column = "messages" if "prompt" not in row.values and "messages" in row.values else "prompt"
    value = row.values.get(column)
    if is_blank(value):
        raise DataError("the prompt is empty")
    return Carried(
        prompts=(prompt_of(prompt_turns(value, column), row.kind),),
        used=frozenset({column, "kind"}),
        lost=lost_in_turns(value, column),
    )


SHAPE = Shape(
    name="prompts",
    columns="`prompt` and no answers, or plain text with one prompt a line",
    matches=_matches,
    carry=_carry,
)
"""Prompts without answers."""
