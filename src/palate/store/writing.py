"""Put many rows into a table, in the fastest way that its engine has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import DatabaseError

from palate.store.schema.columns import AnyText, escaped

_ROOM_KIB = 200 * 1024
_COPY_FROM = 500
"""Below so many rows, PostgreSQL's COPY is not worth its beginning."""


@contextmanager
def room(connection: Connection) -> Iterator[None]:
    """Let SQLite keep more of the indexes in memory: new rows touch all of them everywhere."""
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    connection.exec_driver_sql(f"PRAGMA cache_size = -{_ROOM_KIB}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = {before}")


def put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all name the same columns."""
    if not rows:
        return
    names = list(rows[0])
    listed = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "sqlite":
        # Without SQLAlchemy's work on each row, four times as fast.
        marks = ", ".join("?" * len(names))
        statement = f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks})'
        connection.exec_driver_sql(statement, [tuple(row.values()) for row in rows])
    elif len(rows) < _COPY_FROM:
        connection.execute(insert(table), rows)
    else:
        _copy(connection, table, f'COPY "{table.name}" ({listed}) FROM STDIN', rows)


def _copy(connection: Connection, table: Table, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    import psycopg

    texts = [isinstance(table.c[name].type, AnyText) for name in rows[0]]
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(
                    [
                        escaped(value) if text and value is not None else value
                        for value, text in zip(row.values(), texts, strict=True)
                    ]
                )
    except psycopg.Error as error:
        raise DatabaseError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error
