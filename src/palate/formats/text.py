"""TRL's language modelling in plain text: a column `text`, which only pre-training can use.

Source: `docs/source/dataset_formats.md` of huggingface/trl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats.shape import Carried, Row, Shape
from palate.formats.turns import text_in

_SOMETHING_ELSE = ("prompt", "instruction", "question", "messages", "conversations", "role")


def _matches(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("text"), str) and not any(name in values for name in _SOMETHING_ELSE)


def _carry(row: Row) -> Carried:
    text = text_in(row.values.get("text"), "text")
    if not text.strip():
        raise DataError("the text is empty")
    return Carried(texts=(text,), used=frozenset({"text"}))


SHAPE = Shape(name="text", columns="`text` and neither question nor role", matches=_matches, carry=_carry)
"""Plain texts."""
