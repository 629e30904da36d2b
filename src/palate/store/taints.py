"""Artefacts that hold, or were made from, what an erasure took away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import insert, select

from palate.store import schema
from palate.store.journal import Journal


class Taint(NamedTuple):
    """Why an artefact should go, or be made anew."""

    artefact: str
    because: str
    receipt: str
    """Of the erasure."""
    at: str = ""
    """UTC, ISO 8601."""


def mark(journal: Journal, receipt: str, found: Iterable[tuple[str, str]]) -> int:
    """Write down artefacts and why, once for each erasure; how many were new."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    with journal.transaction() as connection:
        known = {one.artefact for one in every(journal) if one.receipt == receipt}
        rows = [Taint(id, because, receipt, at)._asdict() for id, because in dict(found).items() if id not in known]
        if rows:
            connection.execute(insert(schema.taint), rows)
    return len(rows)


def every(journal: Journal) -> list[Taint]:
    """All of them, the first one first."""
    table = schema.taint
    with journal.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.seq)).all()
    return [Taint(row.artefact, row.because, row.receipt, row.at) for row in rows]
