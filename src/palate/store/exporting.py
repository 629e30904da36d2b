"""Every comparison with its texts and all that was said of it, as a stream: memory does not grow with the journal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from palate.core.records import Comparison, Completion, Judgement, Prompt
from palate.store import schema
from palate.store.journal import Journal
from palate.store.judgements import judgement_of
from palate.store.lookup import matching

_CHUNK = 2000
"""Comparisons whose judgements are read together."""


class Exported(NamedTuple):
    """A comparison, and all that belongs to it."""

    comparison: Comparison
    prompt: Prompt
    first: Completion
    second: Completion
    judgements: tuple[Judgement, ...]
    """In the order in which they came, also those that a later one supersedes."""


def export_rows(journal: Journal, sources: Sequence[str] = ()) -> Iterator[Exported]:
    """Comparisons in the order in which they came, of some sources or, with none named, of all; of one moment."""
    with journal.reading() as connection:
        last = 0
        while chunk := _chunk(connection, sources, last):
            last = chunk[-1].seq
            judged = _judged(connection, [row.id for row in chunk])
            sides = _sides(connection, chunk)
            asked = _asked(connection, chunk)
            for row in chunk:
                shown = Comparison(prompt=row.prompt, first=row.first, second=row.second, source=row.source)
                said = tuple(judged.get(row.id, ()))
                yield Exported(shown, asked[row.prompt], sides[row.first], sides[row.second], said)


def _chunk(connection: Connection, sources: Sequence[str], last: int) -> Sequence[Any]:
    table = schema.comparison
    query = select(table).where(table.c.seq > last).order_by(table.c.seq).limit(_CHUNK)
    if sources:
        query = query.where(table.c.source.in_(sources))
    return connection.execute(query).all()


def _judged(connection: Connection, comparisons: Sequence[str]) -> dict[str, list[Judgement]]:
    table = schema.judgement
    found = matching(connection, select(table), table.c.comparison, comparisons)
    judged: dict[str, list[Judgement]] = defaultdict(list)
    for row in sorted(found, key=lambda row: row.seq):
        judged[row.comparison].append(judgement_of(row))
    return judged


def _sides(connection: Connection, chunk: Sequence[Any]) -> dict[str, Completion]:
    table = schema.completion
    found = matching(connection, select(table), table.c.id, {id for row in chunk for id in (row.first, row.second)})
    return {
        row.id: Completion(
            prompt=row.prompt,
            text=row.text,
            policy=row.policy,
            temperature=row.temperature,
            sample=row.sample,
            finished=bool(row.finished),
        )
        for row in found
    }


def _asked(connection: Connection, chunk: Sequence[Any]) -> dict[str, Prompt]:
    table = schema.prompt
    found = matching(connection, select(table), table.c.id, {row.prompt for row in chunk})
    return {row.id: Prompt.from_dicts(json.loads(row.messages), row.kind, row.language) for row in found}
