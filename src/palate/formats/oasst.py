"""OpenAssistant: trees of messages, in which people ranked the answers to one message, 0 the best.

Source: `oasst-data` of LAION-AI/Open-Assistant and the card of OpenAssistant/oasst1. A row is a tree
(`prompt` with nested `replies`), a root message with its `replies`, or one message (`message_id`,
`parent_id`), and then the rows are put together first. Every two ranked answers to one message are a pair;
the best of them, or the only one, is a demonstration. Messages that were deleted or rejected in review
are left out with everything below them, and counted. Where the export says how each person ranked the answers
(`events.ranking`), that is carried besides, as one ranking a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from palate.core.errors import DataError
from palate.core.records import Demonstration, Prompt
from palate.formats.imported import ImportedPair, ImportedRanking
from palate.formats.messages import demonstration
from palate.formats.ranking import Answer, ranked
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import answer
from palate.formats.turns import Turns, prompt_of, text_in, turns_in

MOST_RANKED = 6
"""Answers in a slate."""
_MESSAGE = ("message_id", "text", "role")
_CARRIED = frozenset(
    {
        *("message_id", "parent_id", "text", "role", "rank", "replies", "deleted", "review_result", "synthetic"),
        *("model_name", "message_tree_id", "tree_state", "review_count", "kind", "events"),
    }
)


def _matches(values: Mapping[str, Any]) -> bool:
    root = values.get("prompt")
    if isinstance(root, dict):
        return all(name in root for name in _MESSAGE)
    return all(name in values for name in _MESSAGE) and ("replies" in values or "parent_id" in values)


def _is_flat(values: Mapping[str, Any]) -> bool:
    """Whether a row is one message among others, told by their ids."""
    own, parent = (values.get(name) for name in ("message_id", "parent_id"))
    return (
        _matches(values)
        and "parent_id" in values
        and "replies" not in values
        and isinstance(own, str)
        and isinstance(parent, str | None)
    )


def _join(rows: Sequence[Row]) -> list[Row]:
    flat = {row.values["message_id"]: row for row in rows if _is_flat(row.values)}
    children: dict[object, list[Row]] = {}
    for row in flat.values():
        children.setdefault(row.values["parent_id"], []).append(row)
    taken: set[int] = set()
    trees = []
    for row in rows:
        if _is_flat(row.values) and flat[row.values["message_id"]] is row and is_blank(row.values["parent_id"]):
            parts = _below(row, children)
            taken |= {part.number for part in parts}
            trees.append(Row(row.number, row.where, _nested(parts), parts))
    alone = [row for row in rows if row.number not in taken]
    return sorted([*trees, *alone], key=lambda row: row.number)


def _below(root: Row, children: Mapping[object, Sequence[Row]]) -> tuple[Row, ...]:
    found = [root]
    for row in found:  # grows while it is walked, parents before their children
        found.extend(children.get(row.values["message_id"], ()))
    return tuple(found)


def _nested(parts: Sequence[Row]) -> dict[str, Any]:
    nodes = {part.values["message_id"]: {**part.values, "replies": []} for part in parts}
    root, *others = parts
    for part in others:
        nodes[part.values["parent_id"]]["replies"].append(nodes[part.values["message_id"]])
    return nodes[root.values["message_id"]]


def _carry(row: Row) -> Carried:
    root = row.values.get("prompt") if isinstance(row.values.get("prompt"), dict) else row.values
    if not isinstance(root, Mapping) or not all(name in root for name in _MESSAGE):
        raise DataError("the row has neither a tree nor a message", expected="`message_id`, `text` and `role`")
    if not is_blank(root.get("parent_id")):
        raise DataError("the message answers one that is not in the file", found=f"parent `{root['parent_id']}`")
    lost: set[str] = set()
    if _is_out(root):
        raise DataError("the first message was deleted, or rejected in review")
    pairs: list[ImportedPair] = []
    rankings: list[ImportedRanking] = []
    shown: list[Demonstration] = []
    for turns, replies, events in _asked(root, lost, nested=not row.parts):
        prompt = prompt_of(turns, row.kind)
        rankings += _rankings(row, prompt, replies, events, len(rankings), lost)
        ranks = [(r, _rank(r)) for r in replies]
        answers = [Answer(_text(r), -rank, str(r.get("model_name") or "")) for r, rank in ranks if rank is not None]
        if answers and len(answers) < len(replies):
            lost.add("replies without a rank")
        found = ranked(row, prompt, answers, start=len(pairs))
        pairs.extend(found.pairs)
        lost |= found.lost
        texts = [max(answers, key=lambda a: a.score).text] if answers else [_text(r) for r in replies]
        if len(texts) == 1 and texts[0].strip():
            shown.append(demonstration((*turns, *answer(texts[0]))))
    alone = () if pairs or shown or rankings else (prompt_of(_turn(root), row.kind),)
    # Nested messages are counted as `messages[]`, and so is a root that is a row with them.
    used = _CARRIED | ({"prompt"} if row.parts else {"prompt", *root})
    return Carried(
        pairs=tuple(pairs),
        demonstrations=tuple(shown),
        prompts=alone,
        rankings=tuple(rankings),
        used=used,
        lost=frozenset(lost),
    )


def _rankings(
    row: Row, prompt: Prompt, replies: Sequence[Mapping[str, Any]], events: object, start: int, lost: set[str]
) -> list[ImportedRanking]:
    """What each person said of the answers to one message; `ranked_message_ids` begins with the best."""
    given = events.get("ranking") if isinstance(events, Mapping) else None
    texts = {str(reply.get("message_id")): reply for reply in replies}
    found: list[ImportedRanking] = []
    for event in given if isinstance(given, list) else []:
        ids = event.get("ranked_message_ids") if isinstance(event, Mapping) else None
        order = [str(id) for id in ids] if isinstance(ids, list) else []
        kept = [id for id in order if id in texts]
        if not 2 <= len(kept) <= MOST_RANKED or event.get("not_rankable") or len(set(kept)) < len(kept):
            lost.add("rankings of answers that are not here, or of more than six")
            continue
        who = event.get("user_id")
        found.append(
            ImportedRanking(
                prompt=prompt,
                # In the order of the file, so that all who ranked them ranked one slate.
                answers=tuple(_text(texts[id]) for id in texts if id in kept),
                ranks=tuple(kept.index(id) + 1 for id in texts if id in kept),
                writers=tuple(str(texts[id].get("model_name") or "") for id in texts if id in kept),
                rater=None if is_blank(who) else text_in(str(who), "user_id"),
                where=row.where,
                row=row.number,
                part=start + len(found),
            )
        )
    if isinstance(events, Mapping):
        lost |= {f"messages[].events.{name}" for name in events if name != "ranking"}
    return found


class _Asked(NamedTuple):
    turns: Turns
    replies: list[Mapping[str, Any]]
    events: object
    """What people did with the message, as the full export tells it."""


def _asked(root: Mapping[str, Any], lost: set[str], *, nested: bool) -> Iterator[_Asked]:
    """Each message by a person with the turns up to it and its answers, those left out named in `lost`."""
    open_ends: list[tuple[Turns, Mapping[str, Any]]] = [((), root)]
    while open_ends:
        before, message = open_ends.pop(0)
        turns = (*before, *_turn(message))
        unused = {name for name, cell in message.items() if name not in _CARRIED and not is_blank(cell)}
        lost |= {f"messages[].{name}" for name in unused if nested}
        replies = message.get("replies") or []
        if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
            raise DataError("replies is not a list of messages", found=f"`{str(replies)[:40]}`")
        kept = [reply for reply in replies if not _is_out(reply)]
        if len(kept) < len(replies):
            lost.add("messages that were deleted or rejected in review")
        open_ends.extend((turns, reply) for reply in kept)
        if turns[-1].role == "user" and kept:
            yield _Asked(turns, kept, message.get("events"))


def _turn(message: Mapping[str, Any]) -> Turns:
    return turns_in({"role": message.get("role"), "content": message.get("text")}, "the message")


def _text(message: Mapping[str, Any]) -> str:
    turn = _turn(message)[0]
    if turn.role != "assistant":
        raise DataError("two messages in a row are by the person")
    return turn.content


def _is_out(message: Mapping[str, Any]) -> bool:
    # CSV writes the two as words.
    return str(message.get("deleted")).lower() == "true" or str(message.get("review_result")).lower() == "false"


def _rank(message: Mapping[str, Any]) -> float | None:
    try:
        rank = float(message["rank"])
    except (KeyError, TypeError, ValueError):
        return None
    return None if math.isnan(rank) else rank


SHAPE = Shape(
    name="oasst",
    columns="`message_id`, `text`, `role`, and `replies` or `parent_id`; or `prompt`, a message with `replies`",
    matches=_matches,
    carry=_carry,
    join=_join,
)
"""Trees of OpenAssistant."""
