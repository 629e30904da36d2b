"""Backups while the work goes on, and restores that are checked. A backup is always a file of SQLite.

So a backup of a server can be looked at on any machine, and restored to either engine.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from palate.core.errors import StoreError
from palate.core.progress import SILENT, Progress
from palate.store import copying, engines, old_copies, opening, schema, standing
from palate.store.journal import Journal


class Verified(NamedTuple):
    """What a look at a whole journal found."""

    version: int
    rows: dict[str, int]
    """By table."""
    problems: tuple[str, ...]
    """Nothing when all is well."""


def backup(journal: Journal, target: Path, *, progress: Progress = SILENT) -> Verified:
    """Write a copy of one moment to a new file; others read and write meanwhile. It is checked before it has its name.

    The audit log says where it lies, so that an erasure finds it.

    Raises:
        StoreError: there is a file already, or the copy is not sound.
    """
    _must_be_free(target)
    half = target.with_name(target.name + ".tmp")
    half.unlink(missing_ok=True)
    try:
        if journal.dialect == "sqlite":
            with closing(sqlite3.connect(journal.path)) as source, closing(sqlite3.connect(half)) as copy:
                source.backup(copy)
        else:
            with Journal.open(half) as copied:
                copying.copy_journal(journal, copied, progress=progress)
        found = _sound(half)
        with closing(sqlite3.connect(half)) as copy:
            # One file, without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        with half.open("rb") as handle:
            os.fsync(handle.fileno())
        half.replace(target)
        old_copies.note(journal, target)
    finally:
        for name in (half, *(half.with_name(half.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)
    return found


def restore(source: Path, target: Path | str, *, progress: Progress = SILENT) -> Verified:
    """Make a journal from a backup: a new file, or an empty database of a server.

    Raises:
        StoreError: the backup is not sound, or the target holds something already.
    """
    _sound(source)
    if isinstance(target, str) and "://" in target:
        copying.copy(source, target, progress=progress)
    else:
        target = Path(target)
        _must_be_free(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(target.name + ".tmp")
        shutil.copyfile(source, half)
        with half.open("rb") as handle:
            os.fsync(handle.fileno())
        half.replace(target)
    with Journal.open(target) as journal:
        found = verify(journal)
    if found.problems:
        raise StoreError(f"{target} is not sound after it was restored", found="; ".join(found.problems))
    return found


def verify(journal: Journal) -> Verified:
    """Look at every page and every row: what the database says of itself, references, guards, the queue's counters."""
    problems: list[str] = []
    with journal.reading() as connection:
        if journal.dialect == "sqlite":
            problems += [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            problems += [f"{row[0]} names a {row[2]} that is not there" for row in broken[:10]]
            names = {row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
            problems += [f"{name} is missing" for name in schema.PARTS if name not in names]
        else:
            names = set(connection.exec_driver_sql("SELECT tgname FROM pg_trigger").scalars())
            problems += [
                f"{table}_no_edit is missing" for table in schema.APPEND_ONLY if f"{table}_no_edit" not in names
            ]
        drifted = standing.drifted(connection)
        problems += [f"the queue miscounts {comparison}" for comparison in drifted[:10]]
        rows = {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in schema.metadata.sorted_tables
        }
    return Verified(schema.VERSION, rows, tuple(problems))


def _sound(path: Path) -> Verified:
    """A file that is a journal, of this version or an older one, without a fault. It is not changed."""
    if not path.is_file():
        raise StoreError(f"there is no backup at {path}", expected="a file that `palate store backup` wrote")
    version = opening.version(path)
    try:
        return Verified(version, *_looked_through(path, version))
    except sqlite3.DatabaseError as error:
        raise engines.refused(str(path), str(error)) from error


def _looked_through(path: Path, version: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The rows of a file by table; with a fault, there is an error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        problems += [
            f"{row[0]} names a {row[2]} that is not there" for row in connection.execute("PRAGMA foreign_key_check")
        ]
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    if problems or not version:
        found = "; ".join(problems[:5]) or "an empty database"
        raise StoreError(f"{path} is not sound", expected="a whole journal", found=found, hint="take an earlier backup")
    return rows, ()


def _must_be_free(path: Path) -> None:
    if path.exists():
        raise StoreError(f"{path} is there already", expected="a name that is free", hint="give another name")
