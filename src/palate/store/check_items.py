"""Check items: comparisons whose answer is known, slipped into the queue to learn how well a rater judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from palate.core.errors import DataError
from palate.core.records import Verdict
from palate.store import schema, standing
from palate.store.journal import Journal
from palate.store.lookup import require


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckItem:
    """A comparison and what is true of it."""

    comparison: str
    expected: Verdict
    """Of the comparison's own sides: first, second, tie or both bad."""
    explanation: str = ""
    """Why, for the debrief."""
    clause: str = ""
    """Id of the clause of the guideline that decides it."""
    author: str = ""
    added_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def __post_init__(self) -> None:
        if self.expected is Verdict.SKIP:
            raise DataError("a check item has no answer", where=f"comparison {self.comparison}", found="skip")


def add(journal: Journal, item: CheckItem) -> None:
    """Make a comparison a check item; it is given as nothing else any more. Added again, the last answer holds.

    Raises:
        DataError: the comparison is unknown.
    """
    with journal.transaction() as connection:
        require(connection, schema.comparison.c.id, [item.comparison], who="check items")
        _write(
            connection, item.comparison, item.expected.value, item.explanation, item.clause, item.author, item.added_at
        )
        _retask(connection, item.comparison, kind="check", state="closed")


def retire(journal: Journal, comparison: str, *, author: str = "") -> None:
    """Ask nobody any more. What was answered stays; if it was in the queue before, it is there again.

    Raises:
        DataError: it is no check item.
    """
    if comparison not in {item.comparison for item in all(journal)}:
        raise DataError(
            "a comparison is no check item", where=f"comparison {comparison}", expected="one that was added"
        )
    with journal.transaction() as connection:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        _write(connection, comparison, "", "", "", author, now)
        _retask(connection, comparison, kind="normal", state="closed")
        standing.recount(connection, [comparison])


def all(journal: Journal) -> list[CheckItem]:
    """The check items in use, in the order in which they came."""
    table = schema.check_item
    with journal.reading() as connection:
        last = {row.comparison: row for row in connection.execute(select(table).order_by(table.c.seq))}
    return [
        CheckItem(
            comparison=row.comparison,
            expected=Verdict(row.expected),
            explanation=row.explanation,
            clause=row.clause,
            author=row.author,
            added_at=row.added_at,
        )
        for row in last.values()
        if row.expected
    ]


def _write(connection: Connection, *values: str) -> None:
    names = ("comparison", "expected", "explanation", "clause", "author", "added_at")
    connection.execute(insert(schema.check_item), dict(zip(names, values, strict=True)))


def _retask(connection: Connection, comparison: str, **change: str) -> None:
    connection.execute(update(schema.task).where(schema.task.c.comparison == comparison).values(**change))
