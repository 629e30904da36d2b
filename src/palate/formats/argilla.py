"""Argilla: one record with two or more answers, and the responses of several people to the questions about it.

Sources: `argilla/src/argilla/records/_io/_generic.py` of argilla-io/argilla (flattened, `preference.responses`; and as
records, with `fields` and `responses`), and the older SDKs (`preference.response.<user>`; a list of `responses` with
`values`). A label names the better answer, by its field, by A or B, or by 1 or 2. A ranking names all of them with
their ranks: of two it is a pair, of more a ranking. Only responses that were submitted count. Text is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from palate.core.errors import DataError
from palate.core.records import Prompt, Verdict
from palate.formats.imported import ImportedPair, ImportedRanking
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in
from palate.formats.verdicts import verdict_in

_ASKED = ("prompt", "instruction", "question", "query", "input", "context", "conversation")
_ANSWER = re.compile(r"(?:response|answer|completion|output|generation|reply|text|model)s?[-_ ]?(?:\d+|[a-z])", re.I)
_FLAT = re.compile(r"(?P<question>.+)\.responses?(?:\.(?P<more>.+))?")
_PART = re.compile(r"(?P<question>.+)\.(?P<what>suggestions?)(?:\..+)?")
_SUBMITTED = "submitted"
_RECORD = ("id", "_server_id", "status", "inserted_at", "updated_at", "external_id")


class _Said(NamedTuple):
    question: str
    user: str
    value: Any


def _matches(values: Mapping[str, Any]) -> bool:
    if isinstance(values.get("fields"), Mapping) and isinstance(values.get("responses"), Mapping | list):
        return True
    return any(name.endswith((".responses", ".responses.users")) or ".response." in name for name in values)


def _carry(row: Row) -> Carried:
    values = row.values
    nested = isinstance(values.get("fields"), Mapping)
    cells: Mapping[str, Any] = values["fields"] if nested else values
    names = [name for name in cells if _ANSWER.fullmatch(name) and isinstance(cells[name], str)]
    asked = next((name for name in _ASKED if not is_blank(cells.get(name))), None)
    if asked is None or len(names) < 2:
        expected = f"one of {', '.join(_ASKED)}, and answers such as `response1` and `response2`"
        raise DataError("the record has no prompt, or no two answers", expected=expected)
    prompt = prompt_of(prompt_turns(cells[asked], asked), row.kind)
    texts = [text_in(cells[name], name) for name in names]
    said = list(_nested(values["responses"]) if nested else _flat(values))
    notes: dict[str, str] = {}
    for item in said:
        if isinstance(item.value, str) and not _is_label(item.value, names) and item.value.strip():
            notes[item.user] = "\n".join([*([notes[item.user]] if item.user in notes else []), item.value])
    pairs: list[ImportedPair] = []
    rankings: list[ImportedRanking] = []
    lost: set[str] = set()
    for item in said:
        note = text_in(notes.get(item.user, ""), "note")
        found = _found(row, prompt, names, texts, item, note, len(pairs) + len(rankings))
        if isinstance(found, ImportedPair):
            pairs.append(found)
        elif isinstance(found, ImportedRanking):
            rankings.append(found)
        elif not isinstance(item.value, str):
            lost.add(f"responses to `{item.question}`")
    if not pairs and not rankings:
        raise DataError("nobody submitted a label or a ranking of the answers", found=f"{len(said)} responses")
    used = {*_RECORD, "fields", "responses", "kind"} if nested else {*_RECORD, asked, *names, "kind"}
    if nested:
        lost |= {f"fields.{name}" for name, cell in cells.items() if name not in {asked, *names} and not is_blank(cell)}
    else:
        used |= {name for name in values if _FLAT.fullmatch(name) and not _PART.fullmatch(name)}
    return Carried(pairs=tuple(pairs), rankings=tuple(rankings), used=frozenset(used), lost=frozenset(lost))


def _flat(values: Mapping[str, Any]) -> Iterator[_Said]:
    for name, cell in values.items():
        match = _FLAT.fullmatch(name)
        if match is None or is_blank(cell):
            continue
        question, more = match["question"], match["more"]
        if more is None and isinstance(cell, list):
            users = _list(values.get(f"{name}.users"), len(cell))
            states = _list(values.get(f"{name}.status"), len(cell))
            for value, user, state in zip(cell, users, states, strict=True):
                if state in (None, _SUBMITTED):
                    yield _Said(question, "" if user is None else str(user), value)
        elif _is_user(more) and values.get(f"{name}.status", _SUBMITTED) == _SUBMITTED:
            yield _Said(question, more, cell)


def _is_user(more: str | None) -> TypeGuard[str]:
    return more is not None and more not in ("users", "status") and not more.endswith(".status")


def _list(value: object, size: int) -> list[Any]:
    if value is None:
        return [None] * size
    if not isinstance(value, list) or len(value) != size:
        raise DataError("the lists of responses differ in their length", expected=f"{size} each")
    return value


def _nested(responses: Any) -> Iterator[_Said]:
    if isinstance(responses, Mapping):
        for question, given in responses.items():
            for item in given if isinstance(given, list) else [given]:
                if isinstance(item, Mapping) and item.get("status", _SUBMITTED) in (None, _SUBMITTED):
                    yield _Said(question, str(item.get("user_id") or ""), item.get("value"))
        return
    for item in responses:
        if isinstance(item, Mapping) and item.get("status", _SUBMITTED) == _SUBMITTED:
            for question, value in (item.get("values") or {}).items():
                yield _Said(question, str(item.get("user_id") or ""), _inner(value))


def _inner(value: Any) -> Any:
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def _is_label(value: str, names: list[str]) -> bool:
    try:
        verdict_in(value, names[0], names[1])
    except DataError:
        return False
    return True


def _found(
    row: Row, prompt: Prompt, names: list[str], texts: list[str], item: _Said, note: str, part: int
) -> ImportedPair | ImportedRanking | None:
    """What one response says of the answers; None when it is about something else."""
    rater = text_in(item.user, "user") or None
    verdict: Verdict | None = None
    if isinstance(item.value, list):
        ranks = _ranks(item.value, names)
        if ranks is None:
            return None
        if len(names) > 2:
            return ImportedRanking(
                prompt=prompt,
                answers=tuple(texts),
                ranks=ranks,
                rater=rater,
                note=note,
                where=row.where,
                row=row.number,
                part=part,
            )
        if 0 in ranks:
            return None
        verdict = Verdict.TIE if ranks[0] == ranks[1] else Verdict.FIRST if ranks[0] < ranks[1] else Verdict.SECOND
    elif len(names) == 2 and isinstance(item.value, str) and _is_label(item.value, names):
        verdict = verdict_in(item.value, *names)
    if verdict is None:
        return None
    check_completions(texts[0], texts[1], (names[0], names[1]))
    return ImportedPair(
        prompt=prompt,
        first=texts[0],
        second=texts[1],
        verdict=verdict,
        rater=rater,
        note=note,
        where=row.where,
        row=row.number,
        part=part,
    )


def _ranks(value: list[Any], names: list[str]) -> tuple[int, ...] | None:
    given = {
        item.get("value"): item.get("rank")
        for item in value
        if isinstance(item, Mapping) and isinstance(item.get("value"), str)
    }
    if not given or not set(given) <= set(names):
        return None
    ranks = tuple(given.get(name) or 0 for name in names)
    whole = all(isinstance(rank, int) and 0 <= rank <= len(names) for rank in ranks)
    return ranks if whole else None


SHAPE = Shape(
    name="argilla",
    columns="`fields` and `responses`; or a prompt, answers, and `….responses` or `….response.USER`",
    matches=_matches,
    carry=_carry,
)
"""Records of Argilla, flattened or not."""
