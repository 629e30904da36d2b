"""Copy a journal into an empty one, from either engine to either, and prove that nothing was lost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from palate.core.errors import StoreError
from palate.core.progress import SILENT, Progress
from palate.store import schema
from palate.store.journal import Journal
from palate.store.writing import put, room

_BATCH = 10_000


def copy(source: Path | str, target: Path | str, *, progress: Progress = SILENT) -> dict[str, int]:
    """Copy everything, with its numbers and accounts; by table, how many rows.

    What others write into the source meanwhile is not copied. The target is filled as a whole or not at all.

    Args:
        source: The path or URL of a journal.
        target: The path or URL of an empty journal, or where there is none yet.
        progress: Who listens.

    Raises:
        StoreError: the target holds something, or does not hold afterwards what the source does.
    """
    with Journal.open(source) as old, Journal.open(target) as new:
        return copy_journal(old, new, progress=progress)


def copy_journal(source: Journal, target: Journal, *, progress: Progress = SILENT) -> dict[str, int]:
    """As `copy`, between open journals."""
    tables = schema.metadata.sorted_tables
    with source.reading() as old, target.transaction() as new, room(new):
        if any(new.execute(select(table).limit(1)).first() is not None for table in tables):
            raise StoreError(
                f"{target.name} is not empty", expected="a journal without a row", hint="give another path or URL"
            )
        total = sum(_count(old, table) for table in tables)
        progress.start("copying", total)
        counts, done = {}, 0
        for table in tables:
            counts[table.name] = 0
            for rows in _batches(old, table):
                put(new, table, rows)
                counts[table.name] += len(rows)
                done += len(rows)
                progress.advance(done)
            _go_on_counting(new, table)
        progress.start("comparing", len(tables))
        for number, table in enumerate(tables, start=1):
            if digest(old, table) != digest(new, table):
                raise StoreError(
                    f"table {table.name} did not come out of {source.name} as it is",
                    expected=f"the same {counts[table.name]} rows",
                    found="other rows",
                    hint="nothing was written; please report this",
                )
            progress.advance(number)
    progress.finish(f"{total} rows in {len(tables)} tables, all compared")
    return counts


def digest(connection: Connection, table: Table) -> str:
    """SHA-256 of all rows of a table in the order of their keys, the same on both engines."""
    found = hashlib.sha256()
    for rows in _batches(connection, table):
        for row in rows:
            # SQLite stores -0.0 as 0.0.
            values = [value + 0.0 if isinstance(value, float) else value for value in row.values()]
            found.update(repr(values).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    key = list(table.primary_key.columns)
    if len(key) == 1 and key[0].name == "seq":
        last = 0
        query = select(table).order_by(table.c.seq).limit(_BATCH)
        while rows := [dict(row) for row in connection.execute(query.where(table.c.seq > last)).mappings()]:
            last = rows[-1]["seq"]
            yield rows
        return
    # Sorted here: engines do not sort texts alike.
    everything = [dict(row) for row in connection.execute(select(table)).mappings()]
    everything.sort(key=lambda row: [row[column.name] for column in key])
    for start in range(0, len(everything), _BATCH):
        yield everything[start : start + _BATCH]


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Rows that came with numbers leave the counter of PostgreSQL behind."""
    if connection.dialect.name != "postgresql" or "seq" not in table.c:
        return
    last = connection.execute(select(func.max(table.c.seq))).scalar()
    if last is not None:
        counter = text("SELECT setval(pg_get_serial_sequence(:name, 'seq'), :last)")
        connection.execute(counter, {"name": table.name, "last": last})
