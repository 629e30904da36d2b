"""Palate's own file of judgements: every record of a journal once, nothing averaged, nothing lost.

JSONL, one record a line, told apart by `record`: `prompt`, `completion`, `comparison`, `rater`, `judgement`, `slate`,
`ranking`, `written_answer`, `feedback`, `guideline`. A line names others by their ids, and stands below them; fields
that hold their default may be left out. A line that gives an `id` is refused when the id does not follow from its
content, for then somebody has changed it.

People who write such a file by hand need not know ids: a judgement may hold its prompt and both completions as texts,
`{"prompt": "…", "first": "…", "second": "…", "verdict": "first", "rater": "ann"}`, and is imported as any pair is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from palate.core.errors import DataError
from palate.core.guidelines import Guideline
from palate.core.records import (
    STRENGTHS,
    TASKS,
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    Verdict,
    WrittenAnswer,
)
from palate.formats.imported import Fact, ImportedFact, ImportedPair
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in, turns_in
from palate.formats.verdicts import verdict_in

_TEXT, _COUNT, _NUMBER, _FLAG, _TEXTS, _COUNTS = "text", "whole number", "number", "true or false", "texts", "numbers"
_TYPES = {
    "sample": _COUNT,
    "strength": _COUNT,
    "number": _COUNT,
    "temperature": _NUMBER,
    "seconds": _NUMBER,
    "finished": _FLAG,
    "swapped": _FLAG,
    "reasons": _TEXTS,
    "languages": _TEXTS,
    "topics": _TEXTS,
    "completions": _TEXTS,
    "ranks": _COUNTS,
    "order": _COUNTS,
}
_TIMES = ("judged_at", "written_at", "created_at")
_MADE: dict[str, type[Any]] = {
    "completion": Completion,
    "comparison": Comparison,
    "rater": Rater,
    "judgement": Judgement,
    "slate": Slate,
    "ranking": Ranking,
    "written_answer": WrittenAnswer,
    "feedback": Feedback,
    "guideline": Guideline,
}
RECORDS = ("prompt", *_MADE)
"""What a line can be."""
_BY_HAND = ("prompt", "first", "second", "verdict", "rater")


def as_row(fact: Fact) -> dict[str, Any]:
    """The line of one record."""
    if isinstance(fact, Prompt):
        row: dict[str, Any] = {"record": "prompt", "id": fact.id, "messages": fact.as_dicts()}
        return row | {name: value for name in ("kind", "language") if (value := getattr(fact, name))}
    kind = type(fact)
    row = {"record": _NAMES[kind]}
    if kind in _COMPUTED:
        row["id"] = fact.id  # type: ignore[union-attr]
    for name, default in _DEFAULTS[kind]:
        value = getattr(fact, name)
        if value != default:
            row[name] = value
    return row


def _default(field: Any) -> object:
    return field.default


_NAMES = {kind: name for name, kind in _MADE.items()}
_COMPUTED = (Completion, Comparison, Slate, Guideline)
_DEFAULTS = {kind: tuple((field.name, _default(field)) for field in fields(kind)) for kind in _MADE.values()}


def _matches(values: Mapping[str, Any]) -> bool:
    return values.get("record") in RECORDS or all(name in values for name in _BY_HAND)


def _carry(row: Row) -> Carried:
    values = row.values
    record = values.get("record", "judgement")
    if record not in RECORDS:
        raise DataError("the row is of no known kind", expected=", ".join(RECORDS), found=f"`{str(record)[:40]}`")
    if record == "judgement" and "comparison" not in values:
        return _by_hand(row)
    if record == "prompt":
        prompt = _prompt(values.get("messages"), values)
        _check_id(values, prompt.id)
        return Carried(facts=(ImportedFact(prompt, row.where),), used=_PROMPT_COLUMNS)
    fact = _made(record, values)
    if "id" in values and type(fact) in _COMPUTED:
        _check_id(values, fact.id)
    return Carried(facts=(ImportedFact(fact, row.where),), used=_USED[record])


_PROMPT_COLUMNS = frozenset({"record", "id", "messages", "kind", "language"})
_USED = {name: frozenset({"record", "id", *(f.name for f in fields(kind))}) for name, kind in _MADE.items()}


def _prompt(value: object, values: Mapping[str, Any]) -> Prompt:
    # A journal may hold comparisons that ask nothing.
    turns = turns_in(value, "messages") if value != [] else ()
    kind, language = (text_in(values.get(name, ""), name) for name in ("kind", "language"))
    return Prompt(turns, kind, language)


def _check_id(values: Mapping[str, Any], computed: str) -> None:
    if values.get("id", computed) != computed:
        raise DataError(
            "the id does not follow from the content, so one of them was changed",
            expected=computed,
            found=f"`{str(values['id'])[:40]}`",
        )


def _made(record: str, values: Mapping[str, Any]) -> Any:
    kind = _MADE[record]
    given: dict[str, Any] = {}
    for name, needed in _FIELDS[record]:
        if name in values:
            given[name] = _cell(name, values[name])
        elif needed:
            raise DataError(f"a {record} has no `{name}`")
    if record == "rater":
        _filled(given, "id")
    if "uid" in given:
        _filled(given, "uid")
    return kind(**given)


_FIELDS = {
    name: tuple((f.name, f.default is MISSING and f.default_factory is MISSING) for f in fields(kind))
    for name, kind in _MADE.items()
}


def _filled(given: Mapping[str, Any], name: str) -> None:
    if not given[name].strip():
        raise DataError(f"the {name} is empty")


def _cell(name: str, value: Any) -> Any:
    if name == "verdict":
        try:
            return Verdict(value)
        except ValueError:
            words = ", ".join(Verdict)
            raise DataError("the verdict is not known", expected=words, found=f"`{str(value)[:40]}`") from None
    if name in _TIMES:
        return _time(value, name)
    return _READERS[_TYPES.get(name, _TEXT)](value, name)


def _time(value: Any, name: str) -> str:
    text_in(value, name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(f"{name} is no time", expected="ISO 8601 with its offset from UTC", found=f"`{value[:40]}`")
    return str(value)


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise DataError(f"{name} is no whole number from 0 on", found=f"`{str(value)[:40]}`")
    return value


def _number(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise DataError(f"{name} is no number from 0 on", found=f"`{str(value)[:40]}`")
    return float(value)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise DataError(f"{name} is neither true nor false", found=f"`{str(value)[:40]}`")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise DataError(f"{name} is not a list of texts", found=f"`{str(value)[:40]}`")
    return tuple(text_in(item, name) for item in value)


def _counts(value: object, name: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise DataError(f"{name} is not a list of numbers", found=f"`{str(value)[:40]}`")
    return tuple(_count(item, name) for item in value)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    _TEXT: text_in,
    _COUNT: _count,
    _NUMBER: _number,
    _FLAG: _flag,
    _TEXTS: _texts,
    _COUNTS: _counts,
}


def _strength(value: Any, name: str) -> int:
    if _count(value, name) not in STRENGTHS:
        raise DataError("the strength is outside the scale", expected="0 (not said), 1, 2 or 3", found=str(value))
    return int(value)


def _task(value: Any, name: str) -> str:
    if value not in TASKS:
        raise DataError("the task is not known", expected=", ".join(TASKS), found=f"`{str(value)[:40]}`")
    return str(value)


_SAID: dict[str, Callable[[Any, str], Any]] = {
    "strength": _strength,
    "reasons": _texts,
    "note": text_in,
    "guideline": text_in,
    "seconds": _number,
    "judged_at": _time,
    "swapped": _flag,
    "task": _task,
    "kind": text_in,
    "language": text_in,
}
_USED_BY_HAND = frozenset({"record", *_BY_HAND, *_SAID})


def _by_hand(row: Row) -> Carried:
    values = row.values
    if any(name not in values for name in _BY_HAND):
        raise DataError("a judgement names no comparison, and holds no texts", expected=", ".join(_BY_HAND))
    given: dict[str, Any] = {}
    for name, read in _SAID.items():
        cell = values.get(name)
        if cell is not None and cell != "":
            given[name] = read(cell, name)
    first, second, rater = text_in(values["first"], "first"), text_in(values["second"], "second"), values["rater"]
    check_completions(first, second, ("first", "second"))
    asked, kind, language = values["prompt"], given.pop("kind", ""), given.pop("language", "")
    pair = ImportedPair(
        prompt=_asked(asked, kind, language) if isinstance(asked, str) else _prompt_by_hand(asked, kind, language),
        first=first,
        second=second,
        verdict=_WORDS.get(values["verdict"]) or verdict_in(values["verdict"], "first", "second"),
        rater=None if is_blank(rater) else text_in(str(rater), "rater"),
        where=row.where,
        row=row.number,
        **given,
    )
    return Carried(pairs=(pair,), used=_USED_BY_HAND)


_WORDS = {str(verdict): verdict for verdict in Verdict}


def _prompt_by_hand(asked: object, kind: str, language: str) -> Prompt:
    return Prompt(prompt_of(prompt_turns(asked, "prompt")).messages, kind, language)


_asked = lru_cache(maxsize=1 << 14)(_prompt_by_hand)
"""Prompts come again and again, and are made once while they are near."""


SHAPE = Shape(
    name="judgements",
    columns="`record`, one of " + ", ".join(RECORDS) + "; or `prompt`, `first`, `second`, `verdict` and `rater`",
    matches=_matches,
    carry=_carry,
)
"""Everything that a journal knows, as Palate writes it."""
