"""Parquet: rows of a table, read and written through pyarrow (the extra `data`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.core.errors import DataError
from palate.core.ids import file_id
from palate.formats.extras import load
from palate.formats.files import start_of
from palate.formats.rows import Found, RowsOfFile, sorted_out

_MAGIC = b"PAR1"
_BATCH_ROWS = 4_096


def rows_of(path: Path) -> RowsOfFile:
    """All rows of a Parquet file; in `file:line` the line is the number of the row.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is no Parquet file, or has no rows.
        ConfigError: pyarrow is not installed.
    """
    found = list(found_in(path))
    if not found:
        raise DataError("a file has no rows", where=str(path), expected="at least one row", found="none")
    return sorted_out(iter(found), file_id(path))


def found_in(path: Path) -> Found:
    """The rows of a Parquet file one after the other.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is no Parquet file, or broken.
        ConfigError: pyarrow is not installed.
    """
    _check_magic(path, start_of(path, 4))
    table = load("pyarrow.parquet", str(path))
    arrow = load("pyarrow", str(path))
    try:
        yield from _found(table.ParquetFile(path), path.name)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            "a Parquet file is broken", where=str(path), found=str(error).split("\n")[0], hint="fetch it again"
        ) from error


def _found(file: Any, name: str) -> Found:
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        for values in batch.to_pylist():
            number += 1
            yield f"{name}:{number}", values


def _check_magic(path: Path, start: bytes) -> None:
    if not start:
        raise DataError("a file is empty", where=str(path), expected="at least one row")
    if start != _MAGIC:
        raise DataError(
            "a file that is called .parquet is none",
            where=str(path),
            expected="a file that begins with PAR1",
            found=ascii(start.decode("latin-1")),
            hint="give it the name that fits, such as .jsonl",
        )


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of one shape as a Parquet file.

    Raises:
        DataError: the rows cannot stand in one table.
        ConfigError: pyarrow is not installed.
    """
    table = load("pyarrow.parquet", str(path))
    arrow = load("pyarrow", str(path))
    try:
        table.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), path)
    except (arrow.ArrowException, UnicodeEncodeError) as error:
        raise DataError(
            "rows cannot be written as Parquet", where=str(path), found=str(error).split("\n")[0]
        ) from error
