"""Tell a journal from any other file before it is touched, and make one where there is none."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from palate.core.errors import StoreError
from palate.store import schema

_DIALECT = sqlite.dialect()
BUSY_S = 30.0
"""How long to wait for other writers."""


class _Header(NamedTuple):
    application: int
    version: int
    things: int
    """Tables, indexes and triggers."""


def prepare(path: Path) -> None:
    """Leave a journal of today's tables at `path`, in WAL mode; a file that is none is not touched.

    Raises:
        StoreError: the file is something else, was written by a newer Palate, or cannot be opened.
    """
    deadline_s = time.monotonic() + BUSY_S
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
                _prepare(connection, path)
            return
        except sqlite3.DatabaseError as error:
            # Turning on WAL does not wait for others by itself, so two who make one journal collide.
            if not _is_busy(str(error)) or time.monotonic() > deadline_s:
                raise refused(path, str(error)) from error
            time.sleep(0.02)


def refused(path: Path, found: str) -> StoreError:
    """The error for what SQLite says about the file at `path`."""
    if _is_busy(found):
        what, hint = f"{path} is held by another program", "wait for the long write to end, then try again"
        return StoreError(what, expected=f"to be let in within {BUSY_S:.0f} s", found=found, hint=hint)
    if "full" in found:
        return StoreError(f"{path} cannot grow", expected="space on the disk", found=found, hint="make room")
    if "not a database" in found:
        return _not_a_journal(path, found)
    hint = "check that the folder exists, can be written to, and is on a local disk"
    return StoreError(f"{path} cannot be used", expected="a file that can be read and written", found=found, hint=hint)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")
    header = _header(connection)
    connection.execute("COMMIT")
    _check(header, path)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if names >= schema.PARTS.keys():
        return
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("BEGIN IMMEDIATE")
    if _header(connection).things == 0:
        for statement in _tables():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    for statement in schema.PARTS.values():
        connection.execute(statement)
    connection.execute("COMMIT")


def _header(connection: sqlite3.Connection) -> _Header:
    """What the file says of itself; inside a transaction, so that all of it is of one moment."""
    questions = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    return _Header(*(int(connection.execute(question).fetchone()[0]) for question in questions))


def _check(header: _Header, path: Path) -> None:
    if header == _Header(0, 0, 0):
        return
    if header.application != schema.APPLICATION_ID:
        raise _not_a_journal(path, "another SQLite database")
    if header.version > schema.VERSION:
        raise StoreError(
            f"{path} was written by a newer Palate",
            expected=f"tables of version {schema.VERSION} or older",
            found=f"version {header.version}",
            hint="upgrade Palate",
        )


def _tables() -> list[str]:
    statements = []
    for table in schema.metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=_DIALECT)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=_DIALECT)) for index in indexes]
    return statements


def _is_busy(message: str) -> bool:
    return "locked" in message or "busy" in message


def _not_a_journal(path: Path, found: str) -> StoreError:
    return StoreError(
        f"{path} is not a journal of Palate",
        expected="a file that Palate made, or none",
        found=found,
        hint="give another path",
    )
