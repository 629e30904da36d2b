"""PandaLM: two responses to one instruction, and what each of three annotators said.

Source: the test set of WeOpenML/PandaLM. `annotator1` to `annotator3` hold 0 (a tie), 1 or 2. Some hold prose instead;
those verdicts are left out and counted, the others of the row are carried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message
from palate.formats.imported import ImportedPair
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in
from palate.formats.verdicts import verdict_in

_SIDES = ("response1", "response2")
_ANNOTATOR = re.compile(r"annotator\d+|pandalm_result|gpt_result")
_UNKNOWN = "verdicts that are neither 0, 1 nor 2"


def _matches(values: Mapping[str, Any]) -> bool:
    return all(name in values for name in ("instruction", *_SIDES)) and any(map(_ANNOTATOR.fullmatch, values))


def _carry(row: Row) -> Carried:
    values = row.values
    first, second = (text_in(values.get(name), name) for name in _SIDES)
    check_completions(first, second, _SIDES)
    asked = [text_in(values[name], name) for name in ("instruction", "input") if not is_blank(values.get(name))]
    prompt = prompt_of((Message("user", "\n\n".join(asked)),), row.kind)
    annotators = [name for name in values if _ANNOTATOR.fullmatch(name)]
    pairs: list[ImportedPair] = []
    for name in annotators:
        try:
            verdict = verdict_in(values[name], *_SIDES)
        except DataError:
            continue
        pair = ImportedPair(
            prompt=prompt,
            first=first,
            second=second,
            verdict=verdict,
            rater=name,
            where=row.where,
            row=row.number,
            part=len(pairs),
        )
        pairs.append(pair)
    if not pairs:
        raise DataError("no annotator's verdict is known", found=f"`{str(values[annotators[0]])[:40]}`")
    used = frozenset({"instruction", "input", *_SIDES, *annotators, "kind"})
    return Carried(pairs=tuple(pairs), used=used, lost=frozenset({_UNKNOWN} if len(pairs) < len(annotators) else ()))


SHAPE = Shape(
    name="pandalm",
    columns="`instruction`, `response1`, `response2`, and `annotator1` …",
    matches=_matches,
    carry=_carry,
)
"""Pairs with three annotators each."""
