"""TRL's unpaired preference: `prompt`, `completion` and `label`, true for good and false for bad.

Source: `docs/source/dataset_formats.md` of huggingface/trl; LLaMA-Factory calls the label `kto_tag`
(`data/README.md`). Each row is an approval, which is what KTO learns from. Rows of one prompt are read together
besides: each good completion makes a pair with each bad one, and is a demonstration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Approval, Demonstration
from palate.formats.imported import ImportedPair
from palate.formats.messages import demonstration
from palate.formats.preference import prompt_turns, side_turns
from palate.formats.ranking import LOST_PAIRS
from palate.formats.shape import Carried, Row, Shape
from palate.formats.sides import check_completions, ordered_pair
from palate.formats.turns import Turns, lost_in_turns

_LABELS = ("label", "kto_tag")
_WORDS = {"true": True, "false": False}


def label_of(values: Mapping[str, Any]) -> bool | None:
    """Whether a row is labelled as good; `None` when it has no such label."""
    cell = next((values[name] for name in _LABELS if name in values), None)
    if isinstance(cell, str):  # as CSV writes it
        return _WORDS.get(cell.strip().lower())
    return cell if isinstance(cell, bool) else None


def _matches(values: Mapping[str, Any]) -> bool:
    texts = [values.get(name) for name in ("prompt", "completion")]
    return all(isinstance(text, str | list) for text in texts) and label_of(values) is not None


def _join(rows: Sequence[Row]) -> list[Row]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        whole = _matches(row.values)
        key = json.dumps(row.values["prompt"], sort_keys=True, default=str) if whole else f"row {row.number}"
        groups.setdefault(key, []).append(row)
    return [Row(group[0].number, group[0].where, group[0].values, tuple(group)) for group in groups.values()]


def _carry(row: Row) -> Carried:
    approvals: list[Approval] = []
    good: list[Demonstration] = []
    bad: list[str] = []
    for part in row.originals:
        label = label_of(part.values)
        if label is None:
            raise DataError("the label is neither true nor false", found=f"`{part.values.get(_LABELS[0])}`")
        shown = demonstration(_turns(part.values), part.kind)
        approvals.append(Approval(prompt=shown.prompt, completion=shown.completion, p_good=float(label)))
        if label:
            good.append(shown)
        else:
            bad.append(shown.completion)
    pairs: list[ImportedPair] = []
    lost = {name for part in row.originals for column in _USED for name in _nested(part.values, column)}
    for better, worse in product(good, bad):
        try:
            check_completions(better.completion, worse, ("good", "bad"))
        except DataError:
            lost.add(LOST_PAIRS)
            continue
        pairs.append(ordered_pair(row, better.prompt, (better.completion, worse), part=len(pairs)))
    return Carried(
        pairs=tuple(pairs),
        demonstrations=tuple(good),
        approvals=tuple(approvals),
        used=frozenset({*_USED, *_LABELS, "kind"}),
        lost=frozenset(lost),
    )


_USED = ("prompt", "completion")


def _nested(values: Mapping[str, Any], column: str) -> frozenset[str]:
    return lost_in_turns(values[column], column)


def _turns(values: Mapping[str, Any]) -> Turns:
    turns = (*prompt_turns(values.get("prompt"), "prompt"), *side_turns(values.get("completion"), "completion"))
    if turns[-1].role != "assistant":
        raise DataError("completion does not end with a turn by the assistant")
    return turns


SHAPE = Shape(
    name="unpaired",
    columns="`prompt`, `completion` and a `label` that is true or false",
    matches=_matches,
    carry=_carry,
    join=_join,
)
"""Thumbs up and down, as TRL's KTO trainer takes them."""
