"""Open WebUI's feedback export: a thumb, the chat around it, and in the arena the answers beside it.

Source: `backend/open_webui/models/feedbacks.py` of open-webui/open-webui. The answer and its conversation stand in
`snapshot.chat`, as a tree of messages. In the arena, or where several models answered, a thumb up says that the rated
answer is better than its siblings, a thumb down that it is worse; each sibling gives a pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Approval, Prompt, Verdict
from palate.formats.imported import ImportedPair, ImportedSignal
from palate.formats.moments import moment
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions, in_display_order
from palate.formats.turns import prompt_of, text_in, turns_in

_USED = frozenset({"id", "user_id", "user", "version", "type", "data", "meta", "snapshot", "created_at", "updated_at"})
_TOLD = ("rating", "model_id", "sibling_model_ids", "reason", "comment")


def _matches(values: Mapping[str, Any]) -> bool:
    data, meta = values.get("data"), values.get("meta")
    return isinstance(data, Mapping) and "rating" in data and isinstance(meta, Mapping) and "snapshot" in values


def _carry(row: Row) -> Carried:
    values = row.values
    data, meta = _mapping(values, "data"), _mapping(values, "meta")
    up = _rating(data.get("rating"))
    messages = _messages(values.get("snapshot"))
    rated = messages.get(str(meta.get("message_id")))
    if rated is None or rated.get("role") != "assistant":
        id = str(meta.get("message_id"))[:40]
        raise DataError("the rated answer is not in the snapshot", found=f"message `{id}`")
    prompt = _prompt(rated, messages, row.kind)
    text = text_in(rated.get("content"), "content")
    if not text.strip():
        raise DataError("the rated answer is empty")
    note = "\n".join(text_in(data[name], name) for name in ("reason", "comment") if not is_blank(data.get(name)))
    who = values.get("user_id")
    person = None if is_blank(who) else text_in(str(who), "user_id")
    at = moment(values.get("updated_at") or values.get("created_at"))
    writer = _model(rated) or _text(data.get("model_id"))
    signal = ImportedSignal(
        kind="up" if up else "down",
        prompt=prompt,
        text=text,
        person=person,
        note=note,
        writer=writer,
        key=_text(values.get("id")),
        created_at=at,
        where=row.where,
        row=row.number,
    )
    pairs = [
        _pair(row, prompt, (text, sibling), up, person, (writer, model), note, at, part)
        for part, (sibling, model) in enumerate(_siblings(rated, messages))
    ]
    lost = {f"data.{name}" for name, cell in data.items() if name not in _TOLD and not is_blank(cell)}
    lost |= {f"meta.{name}" for name in ("tags",) if not is_blank(meta.get(name))}
    return Carried(
        pairs=tuple(pair for pair in pairs if pair is not None),
        approvals=(Approval(prompt=prompt, completion=text, p_good=float(up)),),
        signals=(signal,),
        used=_USED | {"kind"},
        lost=frozenset(lost),
    )


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    if not isinstance(value, Mapping):
        raise DataError(f"{name} is no object", found=f"`{str(value)[:40]}`")
    return value


def _rating(value: object) -> bool:
    word = str(value).strip()
    if word not in ("1", "-1", "1.0", "-1.0"):
        raise DataError("the rating is no thumb", expected="1 or -1", found=f"`{word[:40]}`")
    return not word.startswith("-")


def _messages(snapshot: object) -> dict[str, Mapping[str, Any]]:
    chat = snapshot.get("chat") if isinstance(snapshot, Mapping) else None
    chat = chat.get("chat", chat) if isinstance(chat, Mapping) else {}
    history = chat.get("history")
    found = history.get("messages") if isinstance(history, Mapping) else None
    if not isinstance(found, Mapping):
        raise DataError("the feedback has no snapshot of its chat", expected="`snapshot.chat.chat.history.messages`")
    return {str(id): message for id, message in found.items() if isinstance(message, Mapping)}


def _prompt(rated: Mapping[str, Any], messages: Mapping[str, Mapping[str, Any]], kind: str) -> Prompt:
    turns: list[Any] = []
    seen: set[str] = set()
    parent = str(rated.get("parentId"))
    while parent in messages and parent not in seen:
        seen.add(parent)
        message = messages[parent]
        turns.append({"role": message.get("role"), "content": message.get("content")})
        parent = str(message.get("parentId"))
    return prompt_of(turns_in(turns[::-1], "the chat"), kind)


def _siblings(rated: Mapping[str, Any], messages: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The other answers to the same message that another model wrote, in their order: text and model."""
    return [
        (text_in(message.get("content"), "content"), _model(message))
        for message in messages.values()
        if message.get("role") == "assistant"
        and message.get("parentId") == rated.get("parentId")
        and message is not rated
        and _model(message) != _model(rated)
    ]


def _pair(
    row: Row,
    prompt: Prompt,
    texts: tuple[str, str],
    up: bool,
    person: str | None,
    writers: tuple[str, str],
    note: str,
    at: str,
    part: int,
) -> ImportedPair | None:
    try:
        check_completions(*texts, ("rated", "other"))
    except DataError:
        return None
    first, second = in_display_order(prompt, *texts)
    rated_first = first == texts[0]
    return ImportedPair(
        prompt=prompt,
        first=first,
        second=second,
        verdict=Verdict.FIRST if rated_first == up else Verdict.SECOND,
        rater=person,
        writers=writers if rated_first else writers[::-1],
        note=note,
        judged_at=at,
        where=row.where,
        row=row.number,
        part=part,
    )


def _model(message: Mapping[str, Any]) -> str:
    return _text(message.get("model"))


def _text(value: object) -> str:
    return text_in(value, "model") if isinstance(value, str) else ""


SHAPE = Shape(
    name="open-webui",
    columns="`data` with `rating`, `meta`, and `snapshot`",
    matches=_matches,
    carry=_carry,
)
"""Feedback of Open WebUI."""
