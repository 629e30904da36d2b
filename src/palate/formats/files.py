"""The text of a foreign file: found, unzipped and decoded, or refused with a word on what is wrong."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from palate.core.errors import DataError, MissingArtefact

_GZIP_MAGIC = b"\x1f\x8b"
PARQUET = ".parquet"
_READABLE = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", PARQUET)


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind of file, without `.gz`.

    Raises:
        DataError: it is none that Palate reads.
    """
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    suffix = inner.suffix.lower()
    if suffix not in _READABLE:
        raise DataError(
            "the name of a file does not tell what is in it",
            where=str(path),
            expected=f"a name that ends in {', '.join(_READABLE)}, or in one of them and .gz",
            found=f"`{path.name}`",
            hint="rename the file, or export it as JSONL or CSV",
        )
    return suffix


def text_of(path: Path) -> str:
    """The text of a file, unzipped where its name ends in `.gz`, without a byte order mark.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is a folder, empty, not readable, not gzip, or not UTF-8.
    """
    data = _unzipped(path, bytes_of(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            "a file is not UTF-8 text",
            where=f"{path}:{line}",
            found=f"byte 0x{data[error.start]:02x} at position {error.start}",
            hint="save it as UTF-8; export Excel files as JSONL or CSV first",
        ) from error
    if not text.strip():
        raise DataError("a file is empty", where=str(path), expected="at least one row")
    return text


def bytes_of(path: Path) -> bytes:
    """The bytes of a file as they are on the disk.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is a folder, or not readable.
    """
    return start_of(path, -1)


def start_of(path: Path, count: int) -> bytes:
    """The first bytes of a file; all of them for -1.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is a folder, or not readable.
    """
    if not path.exists():
        raise MissingArtefact("there is no such file", where=str(path), hint="check the path")
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        raise DataError(
            "a folder was given where a file is needed",
            where=str(path),
            expected="one file",
            found=", ".join(f"`{name}`" for name in inside[:8]) or "a folder without files",
        )
    try:
        with path.open("rb") as handle:
            return handle.read(count)
    except OSError as error:
        raise DataError("a file cannot be read", where=str(path), found=str(error)) from error


def _unzipped(path: Path, data: bytes) -> bytes:
    zipped = data.startswith(_GZIP_MAGIC)
    if path.suffix.lower() != ".gz":
        if zipped:
            raise DataError(
                "a file is compressed, but its name does not say so",
                where=str(path),
                hint=f"rename it to `{path.name}.gz`",
            )
        return data
    if not data:
        raise DataError("a file is empty", where=str(path), expected="at least one row")
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            "a file that is called .gz cannot be unzipped",
            where=str(path),
            found="a file cut short or damaged" if zipped else "a file that is not gzip",
            hint="fetch it again" if zipped else f"rename it to `{path.with_suffix('').name}`",
        ) from error
