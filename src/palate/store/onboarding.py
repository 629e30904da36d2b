"""Who has learned which version of the guideline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import insert, select

from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import require


class Pass(NamedTuple):
    """How a rater did in the comparisons with known answers, passed or not."""

    rater: str
    guideline: str
    correct: int
    of: int
    passed: bool
    at: str
    """UTC, ISO 8601."""


def add(journal: Journal, rater: str, *, guideline: str, correct: int, of: int, passed: bool) -> Pass:
    """Write down how a rater did.

    Raises:
        DataError: the rater is unknown.
    """
    made = Pass(rater, guideline, correct, of, passed, datetime.now(UTC).isoformat(timespec="milliseconds"))
    row = {**made._asdict(), "total": of, "passed": int(passed)}
    del row["of"]
    with journal.transaction() as connection:
        require(connection, schema.rater.c.id, [rater], who="passes")
        connection.execute(insert(schema.onboarding_pass), row)
    return made


def of(journal: Journal, rater: str) -> list[Pass]:
    """What a rater did, the oldest first."""
    table = schema.onboarding_pass
    with journal.reading() as connection:
        rows = connection.execute(select(table).where(table.c.rater == rater).order_by(table.c.seq))
        return [Pass(row.rater, row.guideline, row.correct, row.total, bool(row.passed), row.at) for row in rows]
