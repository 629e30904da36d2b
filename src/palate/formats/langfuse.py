"""Langfuse scores: what somebody, or something, said of one answer.

Source: `fern/apis/server/definition/scores.yml` of langfuse/langfuse. BOOLEAN 1 or 0, and NUMERIC 1, 0 or -1, are
thumbs; CATEGORICAL is one where the word is plain; TEXT is a note, and CORRECTION a better answer. The answer itself
is not in a score: where the row has no `input` and `output` beside it, the id of the observation, or else of the trace,
must be that of a completion in the journal. An answer of the API, `{"data": […]}`, is read as its scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Approval, Prompt
from palate.formats.imported import ImportedSignal
from palate.formats.moments import moment
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.turns import prompt_of, text_in, turns_in

_TYPES = ("NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION")
_IDS = ("observationId", "observation_id", "traceId", "trace_id")
_UP = ("up", "thumbs-up", "thumbs up", "thumbs_up", "good", "like", "positive", "helpful", "correct", "yes", "true")
_DOWN = ("down", "thumbs-down", "thumbs down", "thumbs_down", "bad", "dislike", "negative", "unhelpful", "incorrect")
_NO = ("no", "false")
_USED = frozenset(
    {
        *("id", "name", "value", "stringValue", "string_value", "dataType", "data_type", "comment", "timestamp"),
        *("createdAt", "created_at", "authorUserId", "author_user_id", "userId", "user_id", "input", "output", "data"),
        *("trace", "kind", *_IDS),
    }
)


def _is_score(values: Mapping[str, Any]) -> bool:
    kind = values.get("dataType", values.get("data_type"))
    return kind in _TYPES and "name" in values and any(name in values for name in _IDS)


def _matches(values: Mapping[str, Any]) -> bool:
    data = values.get("data")
    several = isinstance(data, list) and bool(data) and isinstance(data[0], dict) and _is_score(data[0])
    return several or _is_score(values)


def _carry(row: Row) -> Carried:
    data = row.values.get("data")
    scores = data if isinstance(data, list) else [row.values]
    signals: list[ImportedSignal] = []
    approvals: list[Approval] = []
    lost: set[str] = set()
    for part, score in enumerate(scores):
        if not isinstance(score, Mapping) or not _is_score(score):
            raise DataError("a score lacks its type, its name or its answer", found=f"`{str(score)[:40]}`")
        signal = _signal(row, score, part)
        signals.append(signal)
        if signal.prompt is not None and signal.kind in ("up", "down"):
            approvals.append(Approval(prompt=signal.prompt, completion=signal.text, p_good=float(signal.kind == "up")))
        if isinstance(data, list):
            lost |= {f"data[].{name}" for name, cell in score.items() if name not in _USED and not is_blank(cell)}
    return Carried(signals=tuple(signals), approvals=tuple(approvals), used=_USED, lost=frozenset(lost))


def _signal(row: Row, score: Mapping[str, Any], part: int) -> ImportedSignal:
    kind, value, note = _said(score)
    comment = _one(score, "comment")
    trace = score.get("trace")
    told: Mapping[str, Any] = trace if isinstance(trace, Mapping) and "output" in trace else score
    prompt, text = _texts(told, row.kind)
    person = _one(score, "authorUserId", "author_user_id", "userId", "user_id")
    return ImportedSignal(
        kind=kind,
        prompt=prompt,
        text=text,
        completion="" if prompt is not None else _one(score, *_IDS),
        person=person or None,
        value=value,
        note="\n".join(part for part in (note, comment) if part),
        key=_one(score, "id"),
        created_at=moment(_one(score, "timestamp", "createdAt", "created_at")),
        where=row.where,
        row=row.number,
        part=part,
    )


def _said(score: Mapping[str, Any]) -> tuple[str, str, str]:
    """`(kind, value, note)` of the signal."""
    kind = score.get("dataType", score.get("data_type"))
    value, word = score.get("value"), _one(score, "stringValue", "string_value")
    if kind in ("TEXT", "CORRECTION"):
        text = word or (text_in(value, "value") if isinstance(value, str) else "")
        if not text.strip():
            raise DataError(f"a score of type {kind} has no text")
        return ("edit", text, "") if kind == "CORRECTION" else ("note", "", text)
    if kind == "CATEGORICAL":
        said = (word or str(value)).strip().lower()
        if said in (*_UP, *_DOWN, *_NO):
            return ("up" if said in _UP else "down"), "", ""
        raise DataError("a category is no thumb", expected=", ".join((*_UP, *_DOWN)), found=f"`{said[:40]}`")
    number = _number(value)
    if number not in ((0.0, 1.0) if kind == "BOOLEAN" else (-1.0, 0.0, 1.0)):
        raise DataError("a score is no thumb", expected="1, 0 or -1", found=f"`{str(value)[:40]}`")
    return ("up" if number == 1 else "down"), "", ""


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return float(value)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _texts(told: Mapping[str, Any], kind: str) -> tuple[Prompt | None, str]:
    asked, said = _loaded(told.get("input")), _loaded(told.get("output"))
    if is_blank(asked) or is_blank(said):
        return None, ""
    if isinstance(asked, dict) and "messages" in asked:
        asked = asked["messages"]
    prompt = prompt_of(prompt_turns(asked, "input"), kind)
    if isinstance(said, dict | list):
        return prompt, turns_in(said, "output")[-1].content
    return prompt, text_in(said, "output")


def _loaded(value: object) -> object:
    """What an export writes as JSON in a cell."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _one(values: Mapping[str, Any], *names: str) -> str:
    name = next((name for name in names if not is_blank(values.get(name))), None)
    return "" if name is None else text_in(values[name], name)


SHAPE = Shape(
    name="langfuse",
    columns="`traceId`, `name`, `value` and `dataType`",
    matches=_matches,
    carry=_carry,
)
"""Scores of Langfuse."""
