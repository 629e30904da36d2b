"""A data export of ChatGPT: a folder or a .zip with `conversations.json`, `message_feedback.json` and
`model_comparisons.json`.

The format is not documented; this follows what exports of 2024 and 2025 hold. A conversation is a tree of messages
(`mapping`). Feedback names a message, and becomes a thumb with its note. A comparison names a new answer and says
whether it is better than the original, worse, or the same (`completion_comparison_rating`), which makes a pair of it
and of the other answer to the same message. Conversations without either give the question that they begin with.
"""  # noqa: D205

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any

from palate.core.errors import DataError
from palate.core.ids import content_id, file_id
from palate.core.records import Approval, Message, Prompt, Verdict
from palate.formats.imported import ImportedPair, ImportedSignal, Refusal
from palate.formats.limits import Limits
from palate.formats.lines import decoded, unfolds_too_far
from palate.formats.moments import moment
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.streaming import Item, list_items
from palate.formats.turns import Turns, prompt_of, text_in

_FEEDBACK, _COMPARISONS = "message_feedback.json", "model_comparisons.json"
_THUMBS = {"thumbs_up": "up", "thumbsup": "up", "thumbs_down": "down", "thumbsdown": "down"}
_WHERE = "where it stands"
_SIDE = ("left", "right")


def is_export(path: Path) -> bool:
    """Whether it is a folder or an archive that holds conversations."""
    if path.is_dir():
        return any(path.glob("conversations*.json"))
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(_is_talks(name) for name in archive.namelist())


def identity(path: Path) -> str:
    """Id of the archive's bytes, or of the files in the folder."""
    if path.is_dir():
        names = sorted(file.name for file in path.glob("*.json"))
        return content_id("chatgpt export", [[name, file_id(path / name)] for name in names])
    return file_id(path)


def items_of(path: Path, limits: Limits) -> Iterator[Item]:
    """Each conversation with the feedback and the comparisons that belong to it."""
    with ExitStack() as stack:
        archive = None if path.is_dir() else stack.enter_context(zipfile.ZipFile(path))
        names = [file.name for file in path.glob("*.json")] if archive is None else archive.namelist()
        files = {name.rpartition("/")[2]: name for name in sorted(names)}

        def items(name: str) -> Iterator[Item]:
            if name not in files:
                return iter(())
            if archive is None:
                stream: IO[bytes] = stack.enter_context((path / files[name]).open("rb"))
            else:
                info = archive.getinfo(files[name])
                if info.file_size > max(limits.unfold_free_bytes, limits.unfold_ratio * info.compress_size):
                    return iter([Item(Refusal(f"{name}:1", unfolds_too_far(limits), ""), 0)])
                stream = stack.enter_context(archive.open(info))
            return list_items(decoded(stream, name, limits), name, limits)

        beside: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for name, key in ((_FEEDBACK, "feedback"), (_COMPARISONS, "comparisons")):
            for item in items(name):
                if isinstance(item.row, Refusal):
                    yield item
                    continue
                where, values = item.row
                talk = beside.setdefault(_conversation_id(values), _nothing())
                talk[key].append({**values, _WHERE: where})
        for item in chain.from_iterable(items(name) for name in files if _is_talks(name)):
            if isinstance(item.row, Refusal):
                yield item
                continue
            where, whole = item.row
            found = beside.pop(str(whole.get("conversation_id", whole.get("id"))), None) or _nothing()
            yield Item((where, {"conversation": whole, **found}), item.size)
        for alone in beside.values():
            for values in (*alone["feedback"], *alone["comparisons"]):
                yield Item(Refusal(str(values[_WHERE]), "its conversation is not in the export", ""), 0)


def _nothing() -> dict[str, list[dict[str, Any]]]:
    return {"feedback": [], "comparisons": []}


def _is_talks(name: str) -> bool:
    name = name.rpartition("/")[2]
    return name.startswith("conversations") and name.endswith(".json")


def _conversation_id(values: Mapping[str, Any]) -> str:
    given = values.get("input")
    inside = given.get("conversation_id") if isinstance(given, Mapping) else None
    return str(values.get("conversation_id") or inside)


def _matches(values: Mapping[str, Any]) -> bool:
    talk = values.get("conversation")
    return isinstance(talk, Mapping) and isinstance(talk.get("mapping"), Mapping) and "feedback" in values


def _carry(row: Row) -> Carried:
    talk = row.values.get("conversation")
    mapping = talk.get("mapping") if isinstance(talk, Mapping) else None
    if not isinstance(mapping, Mapping):
        raise DataError("the conversation has no messages", expected="`mapping`")
    nodes = {str(id): node for id, node in mapping.items() if isinstance(node, Mapping)}
    signals: list[ImportedSignal] = []
    approvals: list[Approval] = []
    pairs: list[ImportedPair] = []
    lost: set[str] = set()
    for given in row.values.get("feedback") or []:
        try:
            signal = _signal(row, given, nodes, len(signals))
        except DataError:
            lost.add("feedback on what is no answer of the conversation")
            continue
        signals.append(signal)
        if signal.prompt is not None:
            approvals.append(Approval(prompt=signal.prompt, completion=signal.text, p_good=float(signal.kind == "up")))
    for given in row.values.get("comparisons") or []:
        try:
            pairs.append(_pair(row, given, nodes, len(pairs)))
        except DataError:
            lost.add("comparisons whose answers are not both in the conversation")
    if signals or pairs:
        prompts: tuple[Prompt, ...] = ()
    else:
        prompts = (_first_question(nodes),)
    return Carried(
        pairs=tuple(pairs),
        approvals=tuple(approvals),
        signals=tuple(signals),
        prompts=prompts,
        used=frozenset({"conversation", "feedback", "comparisons", "kind"}),
        lost=frozenset(lost),
    )


def _signal(row: Row, given: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], part: int) -> ImportedSignal:
    kind = _THUMBS.get(str(given.get("rating")).lower())
    if kind is None:
        raise DataError("the rating is no thumb", found=f"`{str(given.get('rating'))[:40]}`")
    prompt, text, model = _answer(str(given.get("id")), nodes)
    return ImportedSignal(
        kind=kind,
        prompt=prompt,
        text=text,
        person=_person(given),
        note=_note(given.get("content")),
        writer=model,
        key=f"chatgpt {given.get('id')}",
        created_at=moment(given.get("create_time")),
        where=row.where,
        row=row.number,
        part=part,
    )


def _person(given: Mapping[str, Any]) -> str | None:
    who = given.get("user_id")
    return None if is_blank(who) else text_in(str(who), "user_id")


def _note(content: object) -> str:
    """`{"text", "tags"}`, written as JSON or not."""
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            return text_in(content, "content")
    if not isinstance(content, Mapping):
        return ""
    tags = content.get("tags")
    words = [str(tag) for tag in tags] if isinstance(tags, list) else []
    parts = [", ".join(words), content.get("text")]
    return "\n".join(text_in(part, "content") for part in parts if not is_blank(part))


def _pair(row: Row, given: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], part: int) -> ImportedPair:
    output = given.get("output")
    step = output.get("feedback_step_2") if isinstance(output, Mapping) else None
    if not isinstance(step, Mapping):
        raise DataError("the comparison has no `output.feedback_step_2`")
    new_id = _first_id(step.get("new_turn"))
    prompt, new, new_model = _answer(new_id, nodes)
    old_id = _first_id(step.get("original_turn")) or _other(new_id, nodes)
    old_prompt, old, old_model = _answer(old_id, nodes)
    rating = step.get("completion_comparison_rating")
    if rating not in ("new", "original", "same") or old_prompt != prompt:
        raise DataError("the comparison says nothing of two answers to one message", found=f"`{str(rating)[:40]}`")
    check_completions(new, old, ("new", "original"))
    placed = step.get("new_completion_placement")
    new_first = placed == _SIDE[0]  # where it is not said, the original was there before
    better = {"new": Verdict.FIRST if new_first else Verdict.SECOND, "same": Verdict.TIE}
    other = Verdict.SECOND if new_first else Verdict.FIRST
    return ImportedPair(
        prompt=prompt,
        first=new if new_first else old,
        second=old if new_first else new,
        verdict=better.get(rating, other),
        rater=_person(given),
        writers=(new_model, old_model) if new_first else (old_model, new_model),
        note="regenerated" if placed not in _SIDE else "",
        judged_at=moment(given.get("create_time")),
        where=row.where,
        row=row.number,
        part=part,
    )


def _first_id(turn: object) -> str:
    found = turn[0].get("id") if isinstance(turn, list) and turn and isinstance(turn[0], Mapping) else None
    return "" if found is None else str(found)


def _other(id: str, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """The only other answer to the same message."""
    parent = nodes.get(str(nodes.get(id, {}).get("parent")), {})
    others = [str(child) for child in parent.get("children") or [] if str(child) != id]
    if len(others) != 1:
        raise DataError("it cannot be told what the new answer was compared with", found=f"{len(others)} other answers")
    return others[0]


def _answer(id: str, nodes: Mapping[str, Mapping[str, Any]]) -> tuple[Prompt, str, str]:
    """`(prompt, text, model)` of a message by the assistant."""
    turns, model = _turns_to(id, nodes)
    if not turns or turns[-1].role != "assistant" or not turns[-1].content.strip():
        raise DataError("the message is no answer", found=f"`{id[:40]}`")
    last = turns[-1]
    head = turns[:-1]
    while head and head[-1].role == "assistant":  # one answer in several messages
        last = Message("assistant", f"{head[-1].content}\n\n{last.content}")
        head = head[:-1]
    return prompt_of(head), last.content, model


def _turns_to(id: str, nodes: Mapping[str, Mapping[str, Any]]) -> tuple[Turns, str]:
    turns: list[Message] = []
    model = ""
    seen: set[str] = set()
    while id in nodes and id not in seen:
        seen.add(id)
        message = nodes[id].get("message")
        if isinstance(message, Mapping):
            turn = _turn(message)
            if turn is not None:
                turns.append(turn)
            if not model:
                about = message.get("metadata")
                slug = about.get("model_slug") if isinstance(about, Mapping) else None
                model = slug if isinstance(slug, str) else ""
        id = str(nodes[id].get("parent"))
    return tuple(turns[::-1]), model


def _turn(message: Mapping[str, Any]) -> Message | None:
    """A turn of a person or the model; tools and hidden instructions are none."""
    author, content = message.get("author"), message.get("content")
    role = author.get("role") if isinstance(author, Mapping) else None
    if role not in ("user", "assistant") or not isinstance(content, Mapping):
        return None
    parts = content.get("parts")
    texts = [part for part in parts if isinstance(part, str)] if isinstance(parts, list) else []
    text = "\n".join(texts) or content.get("text")
    if content.get("content_type") not in ("text", "multimodal_text") or not isinstance(text, str) or not text.strip():
        return None
    return Message(str(role), text_in(text, "parts"))


def _first_question(nodes: Mapping[str, Mapping[str, Any]]) -> Prompt:
    for node in nodes.values():
        message = node.get("message")
        turn = _turn(message) if isinstance(message, Mapping) else None
        if turn is not None and turn.role == "user":
            return prompt_of((turn,))
    raise DataError("the conversation has no question")


SHAPE = Shape(
    name="chatgpt",
    columns="`conversation` with `mapping`, and `feedback`: a folder or .zip that ChatGPT exported",
    matches=_matches,
    carry=_carry,
)
"""A data export of ChatGPT."""
