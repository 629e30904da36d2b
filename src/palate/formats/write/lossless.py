"""Every record of a journal as a line of `palate.formats.judgements`, which reads them back without loss."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from palate.core.errors import ConfigError, DataError
from palate.formats.imported import Fact
from palate.formats.judgements import as_row

SUFFIXES = (".jsonl", ".jsonl.gz")
_LINES = 5_000


def write_lossless(path: Path, facts: Iterable[Fact]) -> int:
    """Write records in the order in which they come; the number of lines.

    Raises:
        ConfigError: the name does not say JSONL, or is taken.
    """
    return write_lines(path, map(as_row, facts), SUFFIXES)


def write_lines(path: Path, rows: Iterable[object], suffixes: tuple[str, ...]) -> int:
    """Write one JSON value a line, however many there are, so that nobody ever sees half a file.

    Raises:
        ConfigError: the name has none of the suffixes, or is taken.
        DataError: a text cannot be written as UTF-8.
    """
    if not path.name.endswith(suffixes):
        raise ConfigError(
            "a file of lines cannot have this name",
            where="--out",
            expected=f"a name that ends in {', '.join(suffixes)}",
            found=f"`{path.name}`",
        )
    if path.exists():
        raise ConfigError("there is a file of this name", where=str(path), hint="remove it, or give another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with _opened(part, zipped=path.name.endswith(".gz")) as handle:
            count = _write(handle, rows, path)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write(handle: IO[bytes], rows: Iterable[object], path: Path) -> int:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    held: list[str] = []
    count = 0
    for row in rows:
        held.append(encode(row))
        count += 1
        if len(held) == _LINES:
            handle.write(_bytes(held, path, count))
            held.clear()
    handle.write(_bytes(held, path, count))
    return count


def _bytes(lines: list[str], path: Path, count: int) -> bytes:
    try:
        return "".join(line + "\n" for line in lines).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "a text cannot be written",
            where=f"{path.name}, one of the {len(lines)} lines up to {count}",
            expected="text that can be written as UTF-8",
            found=ascii(error.object[max(0, error.start - 20) : error.end + 20]),
        ) from error


@contextmanager
def _opened(path: Path, *, zipped: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as handle:
        if zipped:  # no time and no name in it: the same rows are the same bytes
            with gzip.GzipFile("", "wb", fileobj=handle, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        else:
            yield handle
