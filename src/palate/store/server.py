"""Leave today's tables in a PostgreSQL database: made anew in an empty one, brought up to date in an old one."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from palate.core.errors import StoreError
from palate.store import engines, schema

_LOCK = schema.APPLICATION_ID


def prepare(engine: Engine, name: str) -> None:
    """Leave a journal of today's tables in the database; one that is none is not touched.

    Raises:
        StoreError: the database holds something else, was written by a newer Palate, or cannot be reached.
    """
    try:
        with engine.connect() as connection:
            if version(connection, name) == schema.VERSION:
                return
        with engine.begin() as connection:
            # Of several processes that open an empty database together, one makes the tables.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            found = version(connection, name)
            if found == schema.VERSION:
                return
            if found == 0:
                schema.metadata.create_all(connection)
                for statement in schema.guards.stamp(schema.HEAD):
                    connection.exec_driver_sql(statement)
            else:
                from palate.store import migrating

                migrating.upgrade(connection)
            for statement in schema.guards.postgresql():
                connection.exec_driver_sql(statement)
    except DatabaseError as error:
        engine.dispose()
        raise engines.refused(name, str(error.orig)) from error
    except StoreError:
        engine.dispose()
        raise


def version(connection: Connection, name: str) -> int:
    """Of the tables in the database, 0 in an empty one.

    Raises:
        StoreError: the database holds something else, or was written by a newer Palate.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return 0
    if not {"alembic_version", "judgement", "comparison"} <= tables:
        raise engines.not_a_journal(name, f"{len(tables)} tables of something else")
    found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none())
    if not found.isdecimal() or int(found) > schema.VERSION:
        raise engines.newer(name, f"revision {schema.HEAD} or older", f"revision {found}")
    return int(found)
