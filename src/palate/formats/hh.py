r"""Anthropic-HH: two transcripts, `"\n\nHuman: …\n\nAssistant: …"`, that differ in the last turn.

A turn's text is what stands after the marker and one space, to the byte. A text that itself holds a
marker cannot be told from two turns; where that shows (the transcripts come apart, or do not end with
the assistant) the row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message
from palate.formats.shape import Carried, Row, Shape
from palate.formats.sides import chosen_pair, split
from palate.formats.turns import Turns, text_in

_MARKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_START = re.compile(r"\s*(Human|Assistant):")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}


def is_transcript(value: object) -> bool:
    """Whether a text begins as an HH transcript does, and has a turn by the assistant."""
    return isinstance(value, str) and _START.match(value) is not None and "\n\nAssistant:" in value


def transcript(text: str, name: str) -> Turns:
    """The turns of an HH transcript.

    Raises:
        DataError: the text does not begin with a turn.
    """
    if _START.match(text_in(text, name)) is None:
        raise DataError(f"{name} does not begin with `Human:`", found=f"`{text[:40]}`")
    parts = _MARKER.split(text)
    said = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message(_SPEAKERS[who], content.removeprefix(" ")) for who, content in said)


def question(text: str, name: str) -> Turns:
    r"""The turns of a prompt: a transcript that ends in `"\n\nAssistant:"`, or else one user message.

    Raises:
        DataError: the value is not a text.
    """
    if is_transcript(text_in(text, name)):
        turns = transcript(text, name)
        if turns[-1].role == "assistant" and not turns[-1].content.strip():
            return turns[:-1]
    return (Message("user", text),)


def _matches(values: Mapping[str, Any]) -> bool:
    return is_transcript(values.get("chosen")) and is_transcript(values.get("rejected"))


def _carry(row: Row) -> Carried:
    names = ("chosen", "rejected")
    chosen, rejected = (transcript(row.values.get(name, ""), name) for name in names)
    pair = chosen_pair(row, *split(None, (chosen, rejected), names))
    return Carried(pairs=(pair,), used=frozenset({*names, "kind"}))


SHAPE = Shape(
    name="hh",
    columns="`chosen` and `rejected`, each a transcript that begins with `Human:`",
    matches=_matches,
    carry=_carry,
)
"""Anthropic-HH transcripts."""
