"""Copies of a journal that Palate made: where they lie, and how a person is erased from them too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.errors import DataError, PalateError
from palate.store import audit, erasure, migrating, opening, schema, settings
from palate.store.journal import Journal
from palate.store.marks import Marks

BACKED_UP: Final = "backed up"
"""What the audit log calls it; the details say where the file lies."""
_MAGIC: Final = b"SQLite format 3\0"
_BESIDE: Final = ("-wal", "-shm", "-journal")


class Copy(NamedTuple):
    """What became of one copy."""

    path: str
    state: str
    """`erased`, `not in it`, `gone` where no file is any more, or `not reached`."""
    why: str = ""


def note(journal: Journal, target: Path) -> None:
    """Write down where a backup lies."""
    audit.write(journal, "", BACKED_UP, "", path=str(target.absolute()))


def known(journal: Journal, *folders: Path) -> list[Path]:
    """Files that hold a copy of this journal, or held one: those that were written down, and those in some folders.

    Args:
        journal: The journal.
        folders: Looked through to the ground, for copies that were made before anything was written down, or that
            somebody moved; they are known by the key of the project's pseudonyms.
    """
    key = settings.key(journal).hex()
    found = {Path(str(one.details["path"])) for one in audit.read(journal, most=100_000, action=BACKED_UP)}
    own = journal.path.resolve() if journal.dialect == "sqlite" else None
    if own is not None:
        found |= set(own.parent.glob(f"{own.name}.before-version-*"))
    for folder in folders:
        found |= {path for path in databases(folder) if is_journal(path) and _key(path) == key}
    paths = {path.resolve() for path in found if not path.name.endswith(_BESIDE)}
    return sorted(paths - {own})


def databases(folder: Path) -> Iterator[Path]:
    """Files of SQLite in a folder, and in those inside it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and is_database(path):
            yield path


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite."""
    with path.open("rb") as handle:
        return handle.read(len(_MAGIC)) == _MAGIC


def is_journal(path: Path) -> bool:
    """Whether a file of SQLite is one of Palate's."""
    with path.open("rb") as handle:
        head = handle.read(72)
    return int.from_bytes(head[68:72], "big") == schema.APPLICATION_ID


def _key(path: Path) -> str:
    """Of the pseudonyms in a copy, "" where it has none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM setting WHERE key = ?", [settings.KEY]).fetchone()
    except sqlite3.Error:
        return ""
    return str(json.loads(row[0])) if row else ""


def marks(paths: list[Path], name: str) -> Iterator[Marks]:
    """What a person can be recognised by in copies that hold them and that can be opened as they are."""
    for path in paths:
        try:
            if path.is_file() and opening.version(path) == schema.VERSION:
                with Journal.open(path) as copy:
                    yield erasure.known(copy, name).marks
        except (PalateError, OSError):
            continue


def erase(path: Path, name: str, *, actor: str = "") -> Copy:
    """Erase a person from one copy. A copy of older tables is brought up to date: it would keep them otherwise.

    Args:
        path: Of the copy.
        name: The pseudonym.
        actor: Who asked for it, for the copy's audit log.
    """
    if not path.is_file():
        return Copy(str(path), "gone")
    try:
        if 0 < opening.version(path) < schema.VERSION:
            migrating.file(path, lambda _: None)  # without another copy beside it
        with Journal.open(path) as copy:
            left = erasure.forget(copy, name, actor=actor).left
    except DataError:
        return Copy(str(path), "not in it")
    except (PalateError, OSError, sqlite3.Error) as error:
        return Copy(str(path), "not reached", str(error).splitlines()[0])
    finally:
        _one_file(path)
    return Copy(str(path), "not reached" if left else "erased", "; ".join(left))


def _one_file(path: Path) -> None:
    """Without a log beside it, as a backup is."""
    if not is_journal(path):
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        return
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
