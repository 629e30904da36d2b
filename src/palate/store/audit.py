"""Who did what: logins, exports, changes of role, what was overridden and who was forgotten. Only ever added to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from palate.store import schema
from palate.store.journal import Journal


class Entry(NamedTuple):
    """One line of the log."""

    number: int
    at: str
    """UTC, ISO 8601."""
    actor: str
    """Id of an account, or the name of a program; "" when nobody was logged in."""
    action: str
    object: str
    """Id of what it was done to."""
    details: dict[str, Any]


def write(journal: Journal, actor: str, action: str, object: str, **details: Any) -> None:
    """Add a line. Details are JSON; no secret and no address of a machine belongs in them."""
    with journal.transaction() as connection:
        note(connection, actor, action, object, **details)


def note(connection: Connection, actor: str, action: str, object: str, **details: Any) -> None:
    """Add a line in the transaction that does what it says."""
    row = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "actor": actor,
        "action": action,
        "object": object,
        "details": json.dumps(details, ensure_ascii=False, default=str),
    }
    connection.execute(insert(schema.audit), row)


def read(
    journal: Journal, *, most: int = 200, before: int | None = None, action: str = "", actor: str = ""
) -> list[Entry]:
    """Lines, the latest first.

    Args:
        journal: The journal.
        most: At most so many.
        before: Only lines with a smaller number, for the next page.
        action: Only of this action, if given.
        actor: Only of this actor, if given.
    """
    table = schema.audit
    query = select(table).order_by(table.c.seq.desc()).limit(most)
    if before is not None:
        query = query.where(table.c.seq < before)
    if action:
        query = query.where(table.c.action == action)
    if actor:
        query = query.where(table.c.actor == actor)
    with journal.reading() as connection:
        rows = connection.execute(query).all()
    return [Entry(row.seq, row.at, row.actor, row.action, row.object, json.loads(row.details)) for row in rows]
