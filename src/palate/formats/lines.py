"""A foreign file line by line, whatever is in it: no line is too long, and no archive unfolds without end.

What cannot be read comes out as a `Refusal` in its place, and reading goes on behind it.
"""

from __future__ import annotations

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from palate.core.errors import DataError, MissingArtefact
from palate.formats.imported import EXCERPT_LENGTH, Refusal, excerpt
from palate.formats.limits import Limits

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 20


class Line(NamedTuple):
    """A line without its end."""

    number: int
    text: str
    size: int
    """Bytes, with the end."""


def lines_of(path: Path, limits: Limits) -> Iterator[Line | Refusal]:
    """All lines of a file that hold something, unzipped where its name ends in `.gz`.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is a folder, cannot be opened, or its name does not tell whether it is compressed.
    """
    with _opened(path) as handle:
        yield from _lines(path.name, _unzipped(path, handle), handle if _is_zipped(path) else None, limits)


def pieces_of(path: Path, limits: Limits) -> Iterator[str | Refusal]:
    """The text of a file in pieces of a megabyte, for formats that do not go by lines; a `Refusal` ends it.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it is a folder, cannot be opened, or its name does not tell whether it is compressed.
    """
    with _opened(path) as handle:
        packed = handle if _is_zipped(path) else None
        yield from decoded(_unzipped(path, handle), path.name, limits, packed)


def decoded(stream: IO[bytes], name: str, limits: Limits, packed: IO[bytes] | None = None) -> Iterator[str | Refusal]:
    """The text of an open file in pieces of a megabyte; a `Refusal` ends it.

    Args:
        stream: What to read.
        name: How to call it.
        limits: How far it may unfold.
        packed: What it is unzipped from, if it is.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    unfolded, line, done = 0, 1, False
    while not done:
        try:
            raw = stream.read(_PIECE)
            done = not raw
            text = decoder.decode(raw, final=done)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
            yield Refusal(f"{name}:{line}", f"the file cannot be read from about here on: {error}", "")
            return
        unfolded += len(raw)
        line += text.count("\n")
        yield text
        if _is_bomb(unfolded, packed, limits):
            yield Refusal(f"{name}:{line}", unfolds_too_far(limits), "")
            return


def _is_zipped(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _unzipped(path: Path, handle: IO[bytes]) -> IO[bytes]:
    zipped = _is_zipped(path)
    _check_zipped(path, handle, zipped)
    return gzip.GzipFile(fileobj=handle) if zipped else handle  # type: ignore[return-value]


def _opened(path: Path) -> IO[bytes]:
    if not path.exists():
        raise MissingArtefact("there is no such file", where=str(path), hint="check the path")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError("a file cannot be read", where=str(path), found=str(error)) from error


def _check_zipped(path: Path, handle: IO[bytes], zipped: bool) -> None:
    start = handle.read(2)
    handle.seek(0)
    if (start == _GZIP_MAGIC) == zipped:
        return
    raise DataError(
        "a file that is called .gz cannot be unzipped"
        if zipped
        else "a file is compressed, but its name does not say so",
        where=str(path),
        found="a file that is not gzip" if zipped else "gzip",
        hint=f"rename it to `{path.with_suffix('').name if zipped else path.name + '.gz'}`",
    )


def _lines(name: str, stream: IO[bytes], packed: IO[bytes] | None, limits: Limits) -> Iterator[Line | Refusal]:
    number = 0
    unfolded = 0
    try:
        while raw := stream.readline(limits.row_bytes + 1):
            number += 1
            size = len(raw)
            unfolded += size
            if size > limits.row_bytes and not raw.endswith(b"\n"):
                start = raw[: 2 * EXCERPT_LENGTH]
                while raw and not raw.endswith(b"\n") and not _is_bomb(unfolded, packed, limits):
                    raw = stream.readline(_PIECE)
                    unfolded += len(raw)
                reason = f"the line is longer than {limits.row_bytes} bytes"
                yield Refusal(f"{name}:{number}", reason, _shown(start))
            elif raw := raw.removesuffix(b"\n"):
                line = _decoded(name, number, raw, size)
                if line is not None:
                    yield line
            if _is_bomb(unfolded, packed, limits):
                yield Refusal(f"{name}:{number + 1}", unfolds_too_far(limits), "")
                return
    except (OSError, EOFError, zlib.error) as error:
        reason = f"the file is cut short or damaged from here on: {error}"
        yield Refusal(f"{name}:{number + 1}", reason, "")


def _is_bomb(unfolded: int, packed: IO[bytes] | None, limits: Limits) -> bool:
    if packed is None or unfolded < limits.unfold_free_bytes:
        return False
    return unfolded > limits.unfold_ratio * packed.tell()


def unfolds_too_far(limits: Limits) -> str:
    """The reason for which a bomb is not read to its end."""
    return f"the file unfolds to more than {limits.unfold_ratio:.0f} times its size, so the rest was not read"


def _decoded(name: str, number: int, raw: bytes, size: int) -> Line | Refusal | None:
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"the line is not UTF-8 text; found byte 0x{raw[error.start]:02x} at position {error.start}"
        return Refusal(f"{name}:{number}", reason, _shown(raw[: 2 * EXCERPT_LENGTH]))
    return Line(number, text, size) if text and not text.isspace() else None


def _shown(raw: bytes) -> str:
    return excerpt(raw.decode("utf-8", "backslashreplace"))
