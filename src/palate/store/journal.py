"""Open the journal, and write to it in transactions that either happen or do not.

SQLite in WAL mode with `synchronous=FULL`: a write that was acknowledged survives `kill -9`, and a
loss of power too. Writers begin with BEGIN IMMEDIATE, so that two of them wait for each other
instead of failing half-way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from palate.core.errors import StoreError
from palate.store import schema


class Journal:
    """An open journal. Use `Journal.open`; it is a context manager."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path

    @classmethod
    def open(cls, path: Path | str) -> Journal:
        """Open a journal, or make one where there is none.

        Raises:
            StoreError: the file is something else, or was written by a newer Palate.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        journal = cls(engine, path)
        try:
            journal._prepare()
        except DatabaseError as error:
            raise _not_a_journal(path, str(error.orig)) from error
        return journal

    def _prepare(self) -> None:
        with self.transaction() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            application = connection.execute(text("PRAGMA application_id")).scalar_one()
            tables = connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one()
            if version == 0 and tables == 0:
                schema.metadata.create_all(connection)
                for trigger in schema.TRIGGERS:
                    connection.execute(text(trigger))
                connection.execute(text(f"PRAGMA user_version = {schema.VERSION}"))
                connection.execute(text(f"PRAGMA application_id = {schema.APPLICATION_ID}"))
                return
        if application != schema.APPLICATION_ID:
            raise _not_a_journal(self.path, "another SQLite database")
        if version > schema.VERSION:
            raise StoreError(
                f"{self.path} was written by a newer Palate",
                expected=f"tables of version {schema.VERSION} or older",
                found=f"version {version}",
                hint="upgrade Palate",
            )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: what is done in it is committed as a whole, or not at all."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
    # The driver must not begin transactions by itself; `_on_begin` does.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _not_a_journal(path: Path, found: str) -> StoreError:
    return StoreError(
        f"{path} is not a journal of Palate",
        expected="a file that Palate made, or none",
        found=found,
        hint="give another path",
    )
