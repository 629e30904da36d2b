"""Two outputs to one instruction, as AlpacaFarm, AlpacaEval and LLMBar publish them.

Sources: `README.md` of tatsu-lab/alpaca_farm and tatsu-lab/alpaca_eval; `Dataset/LLMBar` of princeton-nlp/LLMBar, which
calls the instruction `input` and the preference `label`. The preference is 1, 2, or 0 for a tie; AlpacaEval 2 writes a
weight from 1 (certainly `output_1`) to 2 (certainly `output_2`), whose side is carried and whose size is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message, Verdict
from palate.formats.imported import ImportedPair
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in
from palate.formats.verdicts import verdict_in

_SIDES = ("output_1", "output_2")
_SAID = ("preference", "label")
_WRITERS = ("generator_1", "generator_2")
_WEIGHT_LOST = "the size of a preference between 1 and 2"


def _matches(values: Mapping[str, Any]) -> bool:
    asked = "instruction" in values or "input" in values
    return asked and all(name in values for name in _SIDES) and any(name in values for name in _SAID)


def _carry(row: Row) -> Carried:
    values = row.values
    said = next((name for name in _SAID if name in values), _SAID[0])
    first, second = (text_in(values.get(name), name) for name in _SIDES)
    check_completions(first, second, _SIDES)
    verdict, exact = _verdict(values.get(said))
    annotator = values.get("annotator")
    pair = ImportedPair(
        prompt=prompt_of((Message("user", _asked(values)),), row.kind),
        first=first,
        second=second,
        verdict=verdict,
        rater=None if is_blank(annotator) else text_in(annotator, "annotator"),
        writers=_writers(values),
        where=row.where,
        row=row.number,
    )
    used = frozenset({"instruction", "input", *_SIDES, *_WRITERS, said, "annotator", "kind"})
    return Carried(pairs=(pair,), used=used, lost=frozenset() if exact else frozenset({_WEIGHT_LOST}))


def _asked(values: Mapping[str, Any]) -> str:
    parts = [text_in(values[name], name) for name in ("instruction", "input") if not is_blank(values.get(name))]
    if not parts:
        raise DataError("the instruction is empty")
    return "\n\n".join(parts)


def _verdict(value: object) -> tuple[Verdict, bool]:
    """The verdict, and whether it says all that the cell does."""
    if isinstance(value, int | float) and not isinstance(value, bool) and not float(value).is_integer():
        if math.isnan(value):
            raise DataError("the verdict is empty", found="NaN")
        if not 1 < value < 2:
            raise DataError("the preference is outside its scale", expected="0, or 1 to 2", found=str(value))
        return (Verdict.TIE if value == 1.5 else Verdict.FIRST if value < 1.5 else Verdict.SECOND), value == 1.5
    return verdict_in(value, *_SIDES), True


def _writers(values: Mapping[str, Any]) -> tuple[str, str]:
    first, second = (text_in(values[n], n) if isinstance(values.get(n), str) else "" for n in _WRITERS)
    return first, second


SHAPE = Shape(
    name="alpaca-eval",
    columns="`instruction` or `input`, `output_1`, `output_2`, and `preference` or `label`",
    matches=_matches,
    carry=_carry,
)
"""Pairs with an annotator's preference."""
