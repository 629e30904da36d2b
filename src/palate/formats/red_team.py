"""Anthropic's red-team attempts: a transcript, and how far its author thinks they got, 0 (not at all) to 4.

Source: `README.md` of anthropics/hh-rlhf. The conversation up to the last answer is a prompt worth asking again; where
the attempt got anywhere (a rating above 0) the last answer carries a report with the rating and the task. An answer
that somebody tried to make harmful is never a demonstration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.formats import hh
from palate.formats.imported import ImportedSignal
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.turns import prompt_of, text_in

_KIND = "red team"


def _matches(values: Mapping[str, Any]) -> bool:
    return hh.is_transcript(values.get("transcript"))


def _carry(row: Row) -> Carried:
    values = row.values
    turns = hh.transcript(text_in(values.get("transcript"), "transcript"), "transcript")
    if turns[-1].role == "assistant":
        head, answer = turns[:-1], turns[-1].content
    else:
        head, answer = turns, ""
    prompt = prompt_of(head, row.kind or _KIND)
    rating = values.get("rating")
    used = {"transcript", "rating", "task_description", "model_type", "red_team_member_id", "kind"}
    if is_blank(rating) or not answer.strip():
        return Carried(prompts=(prompt,), used=frozenset(used))
    if isinstance(rating, bool) or not isinstance(rating, int | float) or not 0 <= rating <= 4:
        raise DataError("the rating is outside its scale", expected="0 to 4", found=f"`{str(rating)[:40]}`")
    if rating == 0:
        return Carried(prompts=(prompt,), used=frozenset(used))
    member, model, task = (values.get(name) for name in ("red_team_member_id", "model_type", "task_description"))
    signal = ImportedSignal(
        kind="report",
        prompt=prompt,
        text=answer,
        person=None if is_blank(member) else str(member),
        value=f"{rating:g} of 4",
        note="" if is_blank(task) else text_in(task, "task_description"),
        writer=text_in(model, "model_type") if isinstance(model, str) else "",
        where=row.where,
        row=row.number,
    )
    return Carried(prompts=(prompt,), signals=(signal,), used=frozenset(used))


SHAPE = Shape(
    name="red-team",
    columns="`transcript` that begins with `Human:`, and `rating`",
    matches=_matches,
    carry=_carry,
)
"""Red-team transcripts of HH."""
