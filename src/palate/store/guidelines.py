"""Versions of the guideline, and which of them is in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select

from palate.core.ids import content_id
from palate.core.records import Guideline
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time, require


class InForce(NamedTuple):
    """A version was put in force."""

    guideline: str
    since: str
    """UTC, ISO 8601."""
    actor: str


def add(journal: Journal, text: str, *, parent: str = "", author: str = "") -> Guideline:
    """Add a version under the next number; a text that is there already is the version that it was.

    Raises:
        DataError: `parent` is no version.
    """
    table = schema.guideline
    with journal.transaction() as connection:
        one_at_a_time(connection, "guideline")
        known = connection.execute(select(table).where(table.c.id == content_id("guideline", text))).first()
        if known is not None:
            return _guideline(known)
        if parent:
            require(connection, table.c.id, [parent], who="versions")
        number = (connection.execute(select(func.max(table.c.number))).scalar() or 0) + 1
        made = Guideline(text=text, number=number, parent=parent, author=author)
        connection.execute(insert(table), row(made))
    return made


def all(journal: Journal) -> list[Guideline]:
    """Every version, the oldest first."""
    with journal.reading() as connection:
        return [
            _guideline(row) for row in connection.execute(select(schema.guideline).order_by(schema.guideline.c.seq))
        ]


def current(journal: Journal) -> Guideline | None:
    """The version in force, or None as long as there is none."""
    table, force = schema.guideline, schema.guideline_in_force
    query = select(table).join(force, force.c.guideline == table.c.id).order_by(force.c.seq.desc()).limit(1)
    with journal.reading() as connection:
        found = connection.execute(query).first()
    return None if found is None else _guideline(found)


def put_in_force(journal: Journal, id: str, *, actor: str = "") -> None:
    """Let a version hold for the whole project from now on.

    Raises:
        DataError: there is no such version.
    """
    with journal.transaction() as connection:
        require(connection, schema.guideline.c.id, [id], who="projects")
        since = datetime.now(UTC).isoformat(timespec="milliseconds")
        connection.execute(insert(schema.guideline_in_force), {"guideline": id, "since": since, "actor": actor})


def history(journal: Journal) -> list[InForce]:
    """Which version was put in force when, the first first."""
    table = schema.guideline_in_force
    with journal.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.seq))
        return [InForce(row.guideline, row.since, row.actor) for row in rows]


def row(guideline: Guideline) -> dict[str, Any]:
    """A version as it is stored."""
    return {
        "id": guideline.id,
        "number": guideline.number,
        "text": guideline.text,
        "parent": guideline.parent,
        "author": guideline.author,
        "created_at": guideline.created_at,
    }


def _guideline(row: Any) -> Guideline:
    return Guideline(text=row.text, number=row.number, parent=row.parent, author=row.author, created_at=row.created_at)
