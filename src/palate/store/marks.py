"""What a person's rows and words can be recognised by outside the journal, gathered before they are gone.

Marks are never written down: with them, whoever holds a copy could tell who was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, select

from palate.store import schema
from palate.store.lookup import among, matching
from palate.store.whose import Doomed, Who

_UIDS: Final[tuple[tuple[Table, str, str], ...]] = (
    (schema.judgement, "uid", "rater"),
    (schema.ranking, "uid", "rater"),
    (schema.written_answer, "uid", "rater"),
    (schema.feedback, "uid", "person"),
    (schema.finding, "uid", "found_by"),
    (schema.consent, "id", "person"),
    (schema.chat, "id", "person"),
    (schema.lease, "uid", "rater"),
    (schema.attachment, "uid", "helper"),
    (schema.ai_opinion, "uid", "judge"),
)
"""Rows of their own: the column of the id, and that of the person."""
_WORDS: Final[tuple[tuple[Table, str, str], ...]] = (
    (schema.judgement, "note", "rater"),
    (schema.ranking, "note", "rater"),
    (schema.written_answer, "text", "rater"),
    (schema.feedback, "note", "person"),
    (schema.feedback, "value", "person"),
    (schema.finding, "note", "found_by"),
    (schema.finding, "better", "found_by"),
    (schema.draft, "text", "rater"),
    (schema.chat, "title", "person"),
    (schema.attachment, "text", "helper"),
)
"""What they wrote: the column of the text, and that of the person. Words of a consent are ours."""

_LED: Final[tuple[tuple[Table, str, str], ...]] = (
    (schema.check_item, "explanation", "author"),
    (schema.voice, "note", "actor"),
    (schema.release, "why", "actor"),
    (schema.release_alias, "why", "actor"),
)
"""What they wrote as a lead: the column of the text, and that of their account."""
_TOLD: Final = (schema.audit, schema.round_step, schema.finding_step, schema.experiment_step)
"""Facts with details, which say who did it and why."""
SAID: Final = frozenset({"note", "why", "explanation"})
"""Columns, and keys of details, that hold words of whoever did it."""
WHO: Final = ("actor", "author", "inviter", "object")
"""Columns, and keys of details, that name whoever did it, or whom it was done to."""


class Marks(NamedTuple):
    """What is theirs."""

    names: frozenset[str] = frozenset()
    """The pseudonym, ids and addresses of accounts."""
    called: frozenset[str] = frozenset()
    """What they are called on pages."""
    ids: frozenset[str] = frozenset()
    """Of rows that go."""
    texts: frozenset[str] = frozenset()
    """That stand in no row of anybody else, word for word."""
    answers: frozenset[tuple[str, str]] = frozenset()
    """Ids of prompts with texts of completions that go."""
    judged: Mapping[str, str] = MappingProxyType({})
    """Comparisons that stay and lose a judgement, and since when they had it."""
    rated: Mapping[tuple[str, str], str] = MappingProxyType({})
    """Ids of prompts with texts of completions that stay and lose feedback, and since when they had it."""


def gather(connection: Connection, who: Who, doomed: Doomed) -> Marks:
    """All marks of a person.

    Args:
        connection: Of a journal that still holds them.
        who: The person.
        doomed: Texts that go with them, and what shows these.
    """
    ids = doomed.prompts | doomed.completions | doomed.comparisons | doomed.slates
    for table, id, person in _UIDS:
        ids |= set(connection.execute(select(table.c[id]).where(table.c[person] == who.name)).scalars())
    completion = schema.completion
    gone = matching(connection, select(completion), completion.c.id, doomed.completions)
    texts = {row.text for row in gone} | set(_asked(connection, doomed.prompts, inside=True))
    for table, text, person in _WORDS:
        texts |= set(connection.execute(select(table.c[text]).where(table.c[person] == who.name)).scalars())
    for table, text, account in _LED:
        texts |= set(connection.execute(select(table.c[text]).where(table.c[account].in_(who.accounts))).scalars())
    names = frozenset({who.name, *who.accounts, *who.emails})
    texts |= set(_reasons(connection, names))
    texts = {text for text in texts if text.strip()}
    return Marks(
        names=names,
        called=frozenset(who.called),
        ids=frozenset(ids),
        texts=frozenset(texts - _of_others(connection, who, doomed, texts)),
        answers=frozenset((row.prompt, row.text) for row in (*gone, *_written(connection, who))),
        judged=_judged(connection, who, doomed),
        rated=_rated(connection, who, doomed),
    )


def standing(connection: Connection, answers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of some answers that are in the journal: after an erasure, somebody else gave the same."""
    found: set[tuple[str, str]] = set()
    prompts = {prompt for prompt, _ in answers}
    for table in (schema.completion, schema.written_answer):
        rows = matching(connection, select(table.c.prompt, table.c.text), table.c.prompt, prompts)
        found |= {(row.prompt, row.text) for row in rows}
    return found & set(answers)


def both(one: Marks, other: Marks) -> Marks:
    """The marks of both, as of a journal and of its backup."""
    judged, rated = ({**a, **b} for a, b in ((one.judged, other.judged), (one.rated, other.rated)))
    return Marks(
        names=one.names | other.names, called=one.called | other.called, ids=one.ids | other.ids,
        texts=one.texts | other.texts, answers=one.answers | other.answers, judged=judged, rated=rated,
    )  # fmt: skip


def _written(connection: Connection, who: Who) -> list[Any]:
    table = schema.written_answer
    return list(connection.execute(select(table.c.prompt, table.c.text).where(table.c.rater == who.name)))


def is_of(row: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a row, or the details of one, says that a person did it or had it done to them."""
    return any(row.get(key) in names for key in WHO if isinstance(row.get(key), str))


def _reasons(connection: Connection, names: Collection[str]) -> Iterator[str]:
    """What they gave as a reason, and what was given as one for what was done to them."""
    for table in _TOLD:
        for row in connection.execute(select(table)).mappings():
            told = json.loads(row["details"]) if row["details"][:1] == "{" else {}
            if is_of(dict(row), names) or is_of(told, names):
                yield from (value for key, value in told.items() if key in SAID and isinstance(value, str))


def _asked(connection: Connection, prompts: Collection[str], *, inside: bool) -> Iterator[str]:
    """What users say in some prompts, or in all others."""
    table = schema.prompt
    query = select(table.c.id, table.c.messages)
    rows: Any = matching(connection, query, table.c.id, prompts) if inside else connection.execute(query)
    for row in rows:
        if inside or row.id not in prompts:
            yield from (one["content"] for one in json.loads(row.messages) if one["role"] == "user")


def _of_others(connection: Connection, who: Who, doomed: Doomed, texts: set[str]) -> set[str]:
    """Those of some texts that somebody else's row has too: they tell nobody apart."""
    if not texts:
        return set()
    found = {text for text in _asked(connection, doomed.prompts, inside=False) if text in texts}
    completion = schema.completion
    rows = matching(connection, select(completion.c.id, completion.c.text), completion.c.text, texts)
    found |= {row.text for row in rows if row.id not in doomed.completions}
    for table, text, person in _WORDS:
        query = select(table.c[text]).where(table.c[person] != who.name, among(connection, table.c[text], texts))
        found |= set(connection.execute(query).scalars())
    return found


def _judged(connection: Connection, who: Who, doomed: Doomed) -> dict[str, str]:
    table = schema.judgement
    query = select(table.c.comparison, table.c.judged_at).where(table.c.rater == who.name)
    return _first(
        (row.comparison, row.judged_at) for row in connection.execute(query) if row.comparison not in doomed.comparisons
    )


def _rated(connection: Connection, who: Who, doomed: Doomed) -> dict[tuple[str, str], str]:
    signal, completion = schema.feedback, schema.completion
    query = (
        select(completion.c.id, completion.c.prompt, completion.c.text, signal.c.created_at)
        .join(completion, completion.c.id == signal.c.completion)
        .where(signal.c.person == who.name)
    )
    rows = [row for row in connection.execute(query) if row.id not in doomed.completions]
    return _first(((row.prompt, row.text), row.created_at) for row in rows)


def _first(rows: Iterator[tuple[Any, str]] | Any) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for what, at in rows:
        found[what] = min(at, found.get(what, at))
    return found
