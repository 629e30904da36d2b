"""Chatbot Arena: two models answer one person, who says which is better.

Sources: the cards of lmsys/chatbot_arena_conversations, lmsys/mt_bench_human_judgments and
lmarena-ai/arena-human-preference-100k (`conversation_a`, `conversation_b`, `winner`), and of
lmarena-ai/arena-human-preference-55k (`prompt`, `response_a`, `response_b` as JSON lists, and
`winner_model_a`, `winner_model_b`, `winner_tie`). In a conversation of several turns each model goes on
from its own answers; only where the turns before the last agree is it a pair for one prompt, and the
other rows are refused. `turn` counts the turns that were judged. arena-human-preference-140k names no judge; there the
session stands for one, since the turns of a session are one person's (`evaluation_session_id`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Message, Prompt, Verdict
from palate.formats.imported import ImportedPair
from palate.formats.languages import LANGUAGES
from palate.formats.moments import moment
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import split
from palate.formats.turns import Turns, lost_in_turns, prompt_of, text_in, turns_in
from palate.formats.verdicts import verdict_in

_TALKS = ("conversation_a", "conversation_b")
_ANSWERS = ("response_a", "response_b")
_WINNERS = {"winner_model_a": Verdict.FIRST, "winner_model_b": Verdict.SECOND, "winner_tie": Verdict.TIE}
_MODELS = ("model_a", "model_b")
_RATERS = ("judge", "judge_hash", "user_id", "evaluation_session_id")


def _matches(values: Mapping[str, Any]) -> bool:
    talks = all(name in values for name in (*_TALKS, "winner"))
    return talks or all(name in values for name in ("prompt", *_ANSWERS, *_WINNERS))


def _carry(row: Row) -> Carried:
    values = row.values
    talks = all(name in values for name in _TALKS)
    names = _TALKS if talks else _ANSWERS
    sides = tuple(_talk(values, name) if talks else _answers(values, name) for name in names)
    turns, first, second = split(None, (sides[0], sides[1]), names)
    writers = tuple(_name(values.get(name)) for name in _MODELS)
    rater = next((name for name in _RATERS if not is_blank(values.get(name))), None)
    pair = ImportedPair(
        prompt=_prompt(turns, row),
        first=first,
        second=second,
        verdict=verdict_in(values.get("winner"), "model_a", "model_b") if talks else _flags(values),
        rater=text_in(str(values[rater]), rater) if rater else None,
        writers=(writers[0], writers[1]),
        judged_at=moment(values.get("tstamp", values.get("timestamp"))),
        where=row.where,
        row=row.number,
    )
    used = {
        *names,
        *_MODELS,
        "kind",
        "language",
        "tstamp",
        "timestamp",
        *(("winner", "turn") if talks else ("prompt", *_WINNERS)),
    }
    if rater:
        used.add(rater)
    lost = frozenset(key for name in names if talks for key in lost_in_turns(_loaded(values[name], name), name))
    return Carried(pairs=(pair,), used=frozenset(used), lost=lost - {f"{name}[].num_tokens" for name in names})


def _prompt(turns: Turns, row: Row) -> Prompt:
    prompt = prompt_of(turns, row.kind)
    language = row.values.get("language")
    return replace(prompt, language=LANGUAGES.get(language.lower(), "")) if isinstance(language, str) else prompt


def _talk(values: Mapping[str, Any], name: str) -> Turns:
    turns = turns_in(_loaded(values.get(name), name), name)
    judged = values.get("turn")
    if isinstance(judged, bool) or not isinstance(judged, int) or judged < 1:
        return turns
    answers = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
    return turns[: answers[judged - 1] + 1] if judged <= len(answers) else turns


def _loaded(value: object, name: str) -> object:
    """A conversation that a table holds as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name} is not a conversation", expected="messages, or JSON of them", found=str(error)
        ) from error


def _answers(values: Mapping[str, Any], name: str) -> Turns:
    asked, said = (_texts(values.get(column), column) for column in ("prompt", name))
    if len(asked) != len(said):
        raise DataError(f"prompt and {name} differ in their number of turns", found=f"{len(asked)} and {len(said)}")
    return tuple(
        Message(role, text)
        for question, reply in zip(asked, said, strict=True)
        for role, text in (("user", question), ("assistant", reply))
    )


def _texts(value: object, name: str) -> list[str]:
    loaded = _loaded(value, name) if isinstance(value, str) and value.lstrip().startswith("[") else value
    items = loaded if isinstance(loaded, list) else [loaded]
    return [text_in(item, name) for item in items]


def _flags(values: Mapping[str, Any]) -> Verdict:
    said = [verdict for name, verdict in _WINNERS.items() if str(values.get(name)).strip() in ("1", "1.0", "True")]
    if len(said) != 1:
        raise DataError("not exactly one of the three winners is 1", found=f"{len(said)} of them")
    return said[0]


def _name(value: object) -> str:
    return text_in(value, "model").strip() if isinstance(value, str) else ""


SHAPE = Shape(
    name="arena",
    columns="`conversation_a`, `conversation_b`, `winner`; or `prompt`, `response_a`, `response_b`, `winner_model_a` …",
    matches=_matches,
    carry=_carry,
)
"""Battles of Chatbot Arena, as published under several names."""
