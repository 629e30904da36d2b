"""Potato's pairwise tasks: an item with two texts, and what one user said of them.

Source: `annotated_instances.jsonl` of davidjurgens/potato. `selection` is `A`, `B` or `tie`; on a scale,
`scale_value` is a number as text, negative where A is better, and its size is the strength.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Verdict
from palate.formats.imported import ImportedPair
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in
from palate.formats.verdicts import verdict_in

_SAID = ("annotations", "label_annotations", "annotation")
_TEXTS = ("text", "texts", "displayed_text", "responses", "items")
_PROMPTS = ("prompt", "instruction", "question", "context")
_USERS = ("user", "username", "user_id", "annotator")


def _schemes(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The pairwise schemes of a row: name to answer."""
    places = [values.get(name) for name in _SAID] + [values]
    return {
        name: answer
        for place in places
        if isinstance(place, Mapping)
        for name, answer in place.items()
        if isinstance(answer, Mapping) and ("selection" in answer or "scale_value" in answer)
    }


def _sides(values: Mapping[str, Any]) -> tuple[str, Any] | None:
    found = ((name, values.get(name)) for name in _TEXTS)
    return next(((name, cell) for name, cell in found if isinstance(cell, list) and len(cell) == 2), None)


def _matches(values: Mapping[str, Any]) -> bool:
    return bool(_schemes(values)) and _sides(values) is not None


def _carry(row: Row) -> Carried:
    values = row.values
    sides, schemes = _sides(values), _schemes(values)
    if sides is None or not schemes:
        raise DataError("the item has no two texts, or no answer", expected="`text` with two texts, and `selection`")
    column, texts = sides
    first, second = (text_in(text, column) for text in texts)
    check_completions(first, second, ("A", "B"))
    asked = next((name for name in _PROMPTS if not is_blank(values.get(name))), None)
    if asked is None:
        raise DataError("the row has no prompt", expected=f"one of {', '.join(_PROMPTS)}")
    user = next((name for name in _USERS if not is_blank(values.get(name))), None)
    pairs = []
    for part, answer in enumerate(schemes.values()):
        verdict, strength = _verdict(answer)
        pairs.append(
            ImportedPair(
                prompt=prompt_of(prompt_turns(values[asked], asked), row.kind),
                first=first,
                second=second,
                verdict=verdict,
                strength=strength,
                rater=text_in(str(values[user]), user) if user else None,
                where=row.where,
                row=row.number,
                part=part,
            )
        )
    used = {column, asked, "kind", *_SAID, *schemes} | ({user} if user else set())
    lost = {f"{place}.{name}" for place in _SAID for name in (values.get(place) or {}) if name not in schemes}
    return Carried(pairs=tuple(pairs), used=frozenset(used), lost=frozenset(lost))


def _verdict(answer: Mapping[str, Any]) -> tuple[Verdict, int]:
    if not is_blank(answer.get("selection")):
        return verdict_in(answer["selection"], "A", "B"), 0
    value = answer.get("scale_value")
    try:
        number = float(str(value))
    except ValueError:
        raise DataError("the scale's value is no number", found=f"`{str(value)[:40]}`") from None
    if not -100 <= number <= 100:
        raise DataError("the scale's value is outside any scale", found=str(number))
    if number == 0:
        return Verdict.TIE, 0
    return (Verdict.FIRST if number < 0 else Verdict.SECOND), min(3, max(1, round(abs(number))))


SHAPE = Shape(
    name="potato",
    columns="`text` with two texts, and an answer with `selection` or `scale_value`",
    matches=_matches,
    carry=_carry,
)
"""Pairwise annotations of Potato."""
