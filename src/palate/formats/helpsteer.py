"""HelpSteer2: preferences with a strength, or ratings of which two rows in a row answer one prompt.

Source: the card of nvidia/HelpSteer2. `preference_strength` runs from -3 (`response_1` is much better) over
0 (about the same) to 3 (`response_2` is much better). Ratings are compared by `helpfulness`. Prompts of
several turns hold `<extra_id_1>User` and `<extra_id_1>Assistant` lines (NVIDIA/NeMo-Aligner,
`examples/nlp/data/steerlm/common.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message, Prompt, Verdict
from palate.formats.imported import ImportedPair
from palate.formats.ranking import Answer, ranked
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in

_SIDES = ("response_1", "response_2")
_STRENGTH = "preference_strength"
_SAID = ("preference_statement", "preference_elaboration")
_MARKER = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")
_SPEAKERS = {"User": "user", "Assistant": "assistant"}


def _is_preference(values: Mapping[str, Any]) -> bool:
    return all(name in values for name in ("prompt", *_SIDES, _STRENGTH))


def _is_rating(values: Mapping[str, Any]) -> bool:
    return all(name in values for name in ("prompt", "response", "helpfulness"))


def _matches(values: Mapping[str, Any]) -> bool:
    return _is_preference(values) or _is_rating(values)


def _join(rows: Sequence[Row]) -> list[Row]:
    joined = []
    for _, group in groupby(rows, key=_neighbourhood):
        parts = tuple(group)
        joined.append(Row(parts[0].number, parts[0].where, parts[0].values, parts))
    return joined


def _neighbourhood(row: Row) -> object:
    prompt = row.values.get("prompt")
    return ("ratings", prompt) if _is_rating(row.values) and isinstance(prompt, str) else ("row", row.number)


def _carry(row: Row) -> Carried:
    prompt = _prompt(row)
    if _is_preference(row.values):
        used = frozenset({"prompt", *_SIDES, _STRENGTH, *_SAID, "kind"})
        return Carried(pairs=(_preference(row, prompt),), used=used)
    if len(row.originals) < 2:
        raise DataError("only one response to the prompt stands here, so there is nothing to compare")
    answers = [
        Answer(text_in(part.values.get("response"), "response"), float(_whole(part.values.get("helpfulness"), 4)))
        for part in row.originals
    ]
    pairs, lost = ranked(row, prompt, answers)
    if not pairs:
        raise DataError("no two responses differ")
    return Carried(pairs=pairs, used=frozenset({"prompt", "response", "helpfulness", "kind"}), lost=lost)


def _prompt(row: Row) -> Prompt:
    text = text_in(row.values.get("prompt"), "prompt")
    first, *rest = _MARKER.split(text)
    later = zip(rest[::2], rest[1::2], strict=True)
    turns = [Message(_SPEAKERS[who], said) for who, said in (("User", first), *later)]
    # A prompt can begin or end with a marker: then nothing is said before or after it.
    turns = [turn for turn in turns if turn.content.strip()]
    return prompt_of(tuple(turns), row.kind)


def _preference(row: Row, prompt: Prompt) -> ImportedPair:
    first, second = (text_in(row.values.get(name), name) for name in _SIDES)
    check_completions(first, second, _SIDES)
    strength = _whole(row.values.get(_STRENGTH), 3)
    better = Verdict.FIRST if strength < 0 else Verdict.SECOND
    said = [row.values.get(name) for name in _SAID]
    note = "\n".join(text_in(part, "the statement") for part in said if not is_blank(part))
    return ImportedPair(
        prompt=prompt,
        first=first,
        second=second,
        verdict=better if strength else Verdict.TIE,
        strength=abs(strength),
        note=note,
        where=row.where,
        row=row.number,
    )


def _whole(value: object, limit: int) -> int:
    number = value
    if isinstance(number, str):  # as CSV writes it
        number = int(number) if re.fullmatch(r"-?\d+", number.strip()) else None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > limit:
        raise DataError("a figure is out of its scale", expected=f"a whole number up to {limit}", found=f"`{value}`")
    return number


SHAPE = Shape(
    name="helpsteer2",
    columns="`prompt`, `response_1`, `response_2` and `preference_strength`; or `prompt`, `response`, `helpfulness`",
    matches=_matches,
    carry=_carry,
    join=_join,
)
"""NVIDIA's HelpSteer2, both of its files."""
