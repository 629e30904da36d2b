"""TRL's stepwise supervision: `prompt`, `completions` (steps) and `labels`, one for each step.

Source: `docs/source/dataset_formats.md` of huggingface/trl. Palate has no rewards for steps: an answer
whose steps are all right is a demonstration, its steps joined by line ends as TRL joins them; any other
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats.messages import demonstration
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape
from palate.formats.sides import answer
from palate.formats.turns import text_in


def _matches(values: Mapping[str, Any]) -> bool:
    return (
        isinstance(values.get("prompt"), str | list)
        and isinstance(values.get("completions"), list)
        and isinstance(values.get("labels"), list)
    )


def _carry(row: Row) -> Carried:
    steps, labels = row.values.get("completions"), row.values.get("labels")
    if not isinstance(steps, list) or not isinstance(labels, list) or len(steps) != len(labels):
        raise DataError("completions and labels are not two lists of the same length")
    wrong = [i for i, label in enumerate(labels) if label is not True and label != 1]
    if wrong:
        raise DataError(f"completions[{wrong[0]}] is labelled as wrong, and Palate has no rewards for steps")
    text = "\n".join(text_in(step, f"completions[{i}]") for i, step in enumerate(steps))
    shown = demonstration((*prompt_turns(row.values.get("prompt"), "prompt"), *answer(text)), row.kind)
    return Carried(
        demonstrations=(shown,),
        used=frozenset({"prompt", "completions", "labels", "kind"}),
        lost=frozenset({"labels of steps"}),
    )


SHAPE = Shape(
    name="stepwise",
    columns="`prompt`, `completions` and `labels`, both lists",
    matches=_matches,
    carry=_carry,
)
"""Answers in steps, each labelled."""
