"""Tell a journal from any other file before it is touched, make one where there is none, and bring an old one up."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from palate.store import engines, schema

_DIALECT = sqlite.dialect()


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
    deadline_s = time.monotonic() + engines.BUSY_S
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=engines.BUSY_S, isolation_level=None)) as connection:
                _prepare(connection, path)
            return
        except sqlite3.DatabaseError as error:
            # Turning on WAL does not wait for others by itself, so two who make one journal collide.
            if not engines.is_busy(str(error)) or time.monotonic() > deadline_s:
                raise engines.refused(str(path), str(error)) from error
            time.sleep(0.02)


def version(path: Path) -> int:
    """Of the tables in a journal's file, 0 in an empty one; the file is not changed.

    Raises:
        StoreError: the file is something else, or was written by a newer Palate.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            header = _header(connection)
    except sqlite3.DatabaseError as error:
        raise engines.refused(str(path), str(error)) from error
    _check(header, path)
    return header.version


def copy_aside(path: Path) -> Path:
    """A copy of the file beside it, as it is now, under a name that says its version and is not taken."""
    stem = f"{path.name}.before-version-{schema.VERSION}"
    target, number = path.with_name(stem), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{stem}-{number}")
    half = target.with_name(target.name + ".tmp")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(half)) as copy:
        source.backup(copy)
    with half.open("rb") as handle:
        os.fsync(handle.fileno())
    half.replace(target)
    return target


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")
    header = _header(connection)
    connection.execute("COMMIT")
    _check(header, path)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    if 0 < header.version < schema.VERSION:
        # Alembic is slow to import, and needed once in the life of a journal.
        from palate.store import migrating

        migrating.file(path, copy_aside)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if names >= schema.PARTS.keys():
        return
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("BEGIN IMMEDIATE")
    if _header(connection).things == 0:
        for statement in (*_tables(), *schema.guards.stamp(schema.HEAD)):
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
        raise engines.not_a_journal(str(path), "another SQLite database")
    if header.version > schema.VERSION:
        expected = f"tables of version {schema.VERSION} or older"
        raise engines.newer(str(path), expected, f"version {header.version}")


@cache
def _tables() -> tuple[str, ...]:
    statements = []
    for table in schema.metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=_DIALECT)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=_DIALECT)) for index in indexes]
    return tuple(statements)
