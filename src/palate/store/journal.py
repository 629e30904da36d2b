"""Open the journal, read one moment of it, and write in transactions that either happen or do not.

SQLite in WAL mode with `synchronous=FULL`. What is committed is with the kernel, so `kill -9` loses no
acknowledged write. FULL also waits at each commit until the log is on the disk, so a loss of power loses
none either, as far as the disk tells the truth; NORMAL would wait at checkpoints only, and lose what was
acknowledged since the last one. `fullfsync` asks the same of macOS, where a plain fsync stops at the
disk's own memory. The price is one wait for the disk at each commit, a few milliseconds.

Writers begin with BEGIN IMMEDIATE, so that two of them wait for each other instead of failing half-way.
Readers wait for nobody, and nobody for them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DisconnectionError, IntegrityError, OperationalError

from palate.core.errors import DataError, StoreError
from palate.store import opening

_WRITES = "palate_writes"


class Journal:
    """An open journal. Use `Journal.open`; it is a context manager."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path
        self._view = threading.local()

    @classmethod
    def open(cls, path: Path | str) -> Journal:
        """Open a journal, or make one where there is none. Several processes may do so at once.

        Raises:
            StoreError: the file is something else (it is not touched then), was written by a newer
                Palate, or is held by others for too long.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise opening.refused(path, str(error)) from error
        opening.prepare(path)
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(url, max_overflow=-1, connect_args={"timeout": opening.BUSY_S})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "checkout", _on_checkout)
        event.listen(engine, "begin", _on_begin)
        return cls(engine, path)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: what is done in it is committed as a whole, or not at all.

        Raises:
            StoreError: others held the file for too long, the disk is full or damaged, or the
                transaction tried to edit what is append-only.
            DataError: a text cannot be stored as UTF-8.
        """
        with self._speaking(), self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A view of one moment: what others write meanwhile is not seen, here or in nested views.

        Queries of this package that are called inside see the same moment.

        Raises:
            StoreError: the file cannot be read.
        """
        outer: Connection | None = getattr(self._view, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._speaking(), self.engine.connect() as connection:
            self._view.connection = connection
            try:
                yield connection
            finally:
                self._view.connection = None

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Say in Palate's words what the database refuses."""
        try:
            yield
        except IntegrityError as error:
            if "append-only" not in str(error.orig):
                raise
            raise StoreError(
                "the journal refuses an edit",
                where=str(self.path),
                expected="rows that are added and never changed",
                found=str(error.orig),
                hint="a correction is a new judgement that supersedes the old one",
            ) from error
        except DatabaseError as error:
            if type(error) not in (DatabaseError, OperationalError):
                raise
            raise opening.refused(self.path, str(error.orig)) from error
        except UnicodeEncodeError as error:
            raise DataError(
                "a text cannot be stored",
                expected="text that can be written as UTF-8",
                found=ascii(error.object[max(0, error.start - 20) : error.end + 20]),
                hint="repair or drop the row; half of a surrogate pair is no character",
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _on_connect(connection: sqlite3.Connection, record: Any) -> None:
    record.info["pid"] = os.getpid()
    # The driver must not begin transactions by itself; `_on_begin` does.
    connection.isolation_level = None
    for pragma in ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_checkout(_: sqlite3.Connection, record: Any, proxy: Any) -> None:
    # SQLite forbids using a connection that was opened before a fork: a child opens its own.
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None
        raise DisconnectionError(f"opened by process {record.info['pid']}")


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
