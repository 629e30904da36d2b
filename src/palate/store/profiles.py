"""What a rater can judge: their group, languages and topics, and what they would rather not read. It may change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from palate.core.records import Rater
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import require


def put(journal: Journal, rater: Rater, *, avoids: Sequence[str] = ()) -> None:
    """Write down what a stored rater can judge; what was written before no longer holds.

    Args:
        journal: The journal.
        rater: With their group, languages and topics as they are now.
        avoids: Topics with a content warning that they opted out of.

    Raises:
        DataError: the rater is unknown.
    """
    with journal.transaction() as connection:
        require(connection, schema.rater.c.id, [rater.id], who="profiles")
        write(connection, rater, avoids)


def avoided(journal: Journal, rater: str) -> tuple[str, ...]:
    """Topics that a rater opted out of."""
    with journal.reading() as connection:
        found = connection.execute(select(schema.profile.c.avoids).where(schema.profile.c.rater == rater)).scalar()
    return tuple(json.loads(found)) if found else ()


def write(connection: Connection, rater: Rater, avoids: Sequence[str] | None = None) -> None:
    """As `put`, inside a transaction; without `avoids`, what they opted out of stays."""
    table = schema.profile
    earlier = connection.execute(select(table).where(table.c.rater == rater.id)).mappings().first()
    row = {
        "rater": rater.id,
        "team": rater.group,
        "languages": _list(rater.languages),
        "topics": _list(rater.topics),
        "avoids": (earlier["avoids"] if earlier else "[]") if avoids is None else _list(avoids),
    }
    if earlier is not None and dict(earlier) == row:
        return
    connection.execute(delete(table).where(table.c.rater == rater.id))
    connection.execute(insert(table), row)
    # They may now be given what they were passed over for.
    connection.execute(delete(schema.position).where(schema.position.c.rater == rater.id))


def rater(row: Any) -> Rater:
    """A row of `rater` beside one of `profile`, or beside nothing."""
    return Rater(
        id=row.id,
        kind=row.kind,
        group=row.team or "",
        languages=tuple(json.loads(row.languages or "[]")),
        topics=tuple(json.loads(row.topics or "[]")),
    )


def _list(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
