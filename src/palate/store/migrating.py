"""Bring the tables of an older Palate up to date, with Alembic, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DatabaseError

from palate.store import engines, migrations, schema

BASELINE = "0001"
"""The revision of files that were made before there were revisions."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Take the steps from what the database says it is, inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes.update(connection=connection, metadata=schema.metadata)
    command.upgrade(config, revision)


def file(path: Path, before: Callable[[Path], object]) -> None:
    """Bring a journal's file up to date; when a step fails, nothing has happened to it.

    Args:
        path: The file.
        before: Called with the path before the first step, while nobody else can write.

    Raises:
        StoreError: a step could not be taken.
    """
    engine = engines.sqlite(path)
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(**{engines.WRITES: True})
            # Whoever opens the old file at the same time waits here, and finds it up to date.
            with connection.begin():
                found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                if found >= schema.VERSION:
                    return
                before(path)
                if "alembic_version" not in inspect(connection).get_table_names():
                    for statement in schema.guards.stamp(BASELINE):
                        connection.exec_driver_sql(statement)
                upgrade(connection)
                for name, statement in schema.PARTS.items():
                    # An older guard may have said less.
                    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
                    connection.exec_driver_sql(statement)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
    except DatabaseError as error:
        raise engines.refused(str(path), str(error.orig)) from error
    finally:
        engine.dispose()
