"""Leave nothing of deleted rows in a database's files: not in freed pages, not in logs, not in statistics.

SQLite: `secure_delete` overwrites what is deleted while it is on, and no more than that. When a page is split, cells
that move leave their bytes behind in the old page, and what was deleted before it was turned on stays in free pages. So
the file is written anew by VACUUM, and its log is emptied.

PostgreSQL: VACUUM FULL writes every table, its indexes and its long texts anew. Statistics, which hold samples of
values, are taken anew, dropped where a table is empty, and rewritten too. The server's own log is begun anew where the
user may ask for that; segments of it that are kept for later are the administrator's (see docs/privacy.md).
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from palate.store import engines, schema
from palate.store.journal import Journal

_LOOK_S: Final = 0.05
_READERS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_xmin IS NOT NULL AND xact_start < :began"
)
"""Others who still see what was deleted, so that VACUUM must keep it."""

_STALE: Final = text(
    "SELECT format('ALTER TABLE %I ALTER COLUMN %I TYPE %s', c.relname, a.attname, "
    "format_type(a.atttypid, a.atttypmod)) "
    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    "JOIN pg_stats s ON s.schemaname = current_schema() AND s.tablename = c.relname AND s.attname = a.attname "
    "WHERE c.oid = to_regclass(quote_ident(:name)) AND c.relpages = 0 "
    "AND (s.histogram_bounds IS NOT NULL OR s.most_common_vals IS NOT NULL)"
)
"""Statistics of an empty table stay as they were: a column that is told its type again loses them."""


def scour(journal: Journal, *, wait_s: float = engines.BUSY_S) -> tuple[str, ...]:
    """Write the database's files anew, without what was deleted.

    Args:
        journal: The journal; others may have it open.
        wait_s: How long to wait for those who read or write.

    Returns:
        What is left and why, in words; nothing when all is well. Doing it again later takes the rest.
    """
    return _file(journal, wait_s) if journal.dialect == "sqlite" else _server(journal, wait_s)


def _file(journal: Journal, wait_s: float) -> tuple[str, ...]:
    left = []
    with closing(sqlite3.connect(journal.path, timeout=wait_s, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            left.append(f"freed pages were not written anew: {error}")
        deadline_s = time.monotonic() + wait_s
        # Whoever reads at this moment needs the log.
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline_s:
                left.append("the log beside the journal is not empty yet: somebody reads it")
                break
            time.sleep(_LOOK_S)
    return tuple(left)


def _server(journal: Journal, wait_s: float) -> tuple[str, ...]:
    left = []
    with journal.engine.connect() as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql(f"SET lock_timeout = {int(wait_s * 1000)}")
        try:
            if not _alone(connection, wait_s):
                left.append("somebody has been reading since before, and what they see was kept")
            for table in schema.metadata.sorted_tables:
                _try(connection, f'VACUUM (FULL, ANALYZE) "{table.name}"', left)
            for table in schema.metadata.sorted_tables:
                for change in connection.execute(_STALE, {"name": table.name}).scalars().all():
                    _try(connection, change, left)
            # A sample of values stands in here; only the owner of the database may rewrite it.
            _try(connection, "VACUUM FULL pg_catalog.pg_statistic", left)
            for statement in ("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT"):
                _try(connection, statement, left)
        finally:
            connection.exec_driver_sql("RESET lock_timeout")
    return tuple(left)


def _alone(connection: Connection, wait_s: float) -> bool:
    """Wait for those who read since before now; whether none is left."""
    began = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    deadline_s = time.monotonic() + wait_s
    while connection.execute(_READERS, {"began": began}).scalar_one():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_LOOK_S)
    return True


def _try(connection: Connection, statement: str, left: list[str]) -> None:
    try:
        connection.exec_driver_sql(statement)
    except DatabaseError as error:
        left.append(f"{statement}: {str(error.orig).splitlines()[0]}")
