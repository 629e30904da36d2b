"""NeMo-RL's ranks: `context` and `completions`, each `{"rank", "completion": [messages]}`, 0 the best.

Source: `docs/guides/dpo.md` of NVIDIA-NeMo/RL. Training there knows two ranks only; here every two
completions are a pair, and equal ranks a tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats.ranking import Answer, ranked
from palate.formats.shape import Carried, Row, Shape
from palate.formats.sides import check_completions
from palate.formats.turns import lost_in_turns, prompt_of, turns_in


def _matches(values: Mapping[str, Any]) -> bool:
    given = values.get("completions")
    return "context" in values and isinstance(given, list) and any(isinstance(g, dict) and "rank" in g for g in given)


def _carry(row: Row) -> Carried:
    values = row.values
    prompt = prompt_of(turns_in(values.get("context"), "context"), row.kind)
    given = values.get("completions")
    if not isinstance(given, list) or len(given) < 2:
        raise DataError("completions is not a list of at least two", found=f"`{str(given)[:40]}`")
    answers = [_answer(item, f"completions[{i}]") for i, item in enumerate(given)]
    if len(answers) == 2:
        check_completions(answers[0].text, answers[1].text, ("completions[0]", "completions[1]"))
    pairs, lost = ranked(row, prompt, answers)
    if not pairs:
        raise DataError("no two completions differ")
    nested = {name for item in given for name in lost_in_turns(item["completion"], "completions[].completion")}
    # The task is the name of the file there, and says nothing about the pair.
    used = frozenset({"context", "completions", "task_name", "kind"})
    return Carried(pairs=pairs, used=used, lost=lost | nested | lost_in_turns(values["context"], "context"))


def _answer(item: object, name: str) -> Answer:
    if not isinstance(item, dict):
        raise DataError(f"{name} is not an object", found=f"`{str(item)[:40]}`")
    rank = item.get("rank")
    if isinstance(rank, bool) or not isinstance(rank, int | float):
        raise DataError(f"{name} has no rank", expected="a number, the lowest for the best", found=f"`{rank}`")
    turns = turns_in(item.get("completion"), f"{name}.completion")
    if len(turns) != 1 or turns[0].role != "assistant":
        raise DataError(f"{name} is not one turn by the assistant", found=f"{len(turns)} turns")
    return Answer(turns[0].content, -float(rank))


SHAPE = Shape(
    name="nemo-rl",
    columns="`context`, and `completions` with `rank` and `completion`",
    matches=_matches,
    carry=_carry,
)
"""Ranked completions, as NeMo-RL trains on them."""
