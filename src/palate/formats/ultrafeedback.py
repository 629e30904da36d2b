"""UltraFeedback: an `instruction`, and `completions` that a judge has scored; every two are a pair.

Source: `README.md` of OpenBMB/UltraFeedback and the card of its data set. The score is `overall_score`
where the file has it, else the mean of the four aspects' `Rating`, which is what the authors trained on.
Equal scores are a tie. The system prompts differ between completions, so they are not part of the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message
from palate.formats.ranking import Answer, ranked
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.turns import prompt_of, text_in

_CARRIED = {"response", "model", "overall_score"}


def _matches(values: Mapping[str, Any]) -> bool:
    given = values.get("completions")
    has_answers = isinstance(given, list) and any(isinstance(g, dict) and "response" in g for g in given)
    return isinstance(values.get("instruction"), str) and has_answers


def _carry(row: Row) -> Carried:
    asked = text_in(row.values.get("instruction"), "instruction")
    prompt = prompt_of((Message("user", asked),), row.kind)
    given = row.values.get("completions")
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise DataError("completions is not a list of objects", found=f"`{str(given)[:40]}`")
    overall = any(_number(item.get("overall_score")) is not None for item in given)
    lost: set[str] = set()
    answers = []
    for i, item in enumerate(given):
        score = _number(item.get("overall_score")) if overall else _mean_rating(item.get("annotations"))
        if score is None:
            lost.add("completions without a score")
            continue
        writer = item.get("model")
        text = text_in(item.get("response"), f"completions[{i}].response")
        answers.append(Answer(text, score, writer if isinstance(writer, str) else ""))
        lost |= {f"completions[].{name}" for name, cell in item.items() if name not in _CARRIED and not is_blank(cell)}
    pairs, unequal = ranked(row, prompt, answers)
    if not pairs:
        raise DataError("no two completions have a score and differ", found=f"{len(answers)} with a score")
    # `models` repeats the writers of the completions.
    used = frozenset({"instruction", "completions", "models", "kind"})
    return Carried(pairs=pairs, used=used, lost=frozenset(lost) | unequal)


def _number(value: object) -> float | None:
    """A score, also where it is written as text; `None` for `N/A` and the like."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _mean_rating(annotations: object) -> float | None:
    if not isinstance(annotations, dict):
        return None
    ratings = [_number(aspect.get("Rating")) for aspect in annotations.values() if isinstance(aspect, dict)]
    known = [rating for rating in ratings if rating is not None]
    return sum(known) / len(known) if known else None


SHAPE = Shape(
    name="ultrafeedback",
    columns="`instruction`, and `completions` with `response` and scores",
    matches=_matches,
    carry=_carry,
)
"""Scored completions, as UltraFeedback publishes them."""
