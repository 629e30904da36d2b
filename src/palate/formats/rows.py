"""JSONL, JSON, CSV and plain text to rows that know their line.

A broken line is set aside and the next one is read; a file of which nothing can be read is refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from palate.core.errors import DataError
from palate.core.ids import file_id
from palate.formats.files import suffix_of, text_of
from palate.formats.imported import Refusal, excerpt
from palate.formats.shape import Row

_JSON_SPACE = " \t\n\r"
_LONGEST_CELL = 1 << 27


@dataclass(frozen=True, slots=True)
class RowsOfFile:
    """The rows of a file in order, and those that could not even be parsed."""

    rows: list[Row]
    broken: list[tuple[int, Refusal]]
    """Number of the row, and why."""
    identity: str = ""
    """Id of the bytes, or of the rows where there is no file."""


def rows_of(path: Path) -> RowsOfFile:
    """All rows of a file.

    Raises:
        MissingArtefact: there is no such file.
        DataError: the file as a whole cannot be read.
    """
    text = text_of(path)
    suffix = suffix_of(path)
    if suffix == ".txt":
        found = _plain_lines(text, path.name)
    elif suffix in (".csv", ".tsv"):
        found = _table(text, path.name, "\t" if suffix == ".tsv" else None)
    elif _is_list(text, suffix):
        found = _json_list(text, path.name)
    else:
        found = _json_lines(text, path.name)
    result = sorted_out(found, file_id(path))
    if not result.rows:
        raise _nothing_read(path, text, [refusal for _, refusal in result.broken])
    return result


Found = Iterator[tuple[str, dict[str, object]] | Refusal]
"""`(file:line, values)` of each row, or why it is none."""


def sorted_out(found: Found, identity: str) -> RowsOfFile:
    """Number what was found, and part rows from what could not be parsed."""
    rows: list[Row] = []
    broken: list[tuple[int, Refusal]] = []
    for number, item in enumerate(found, start=1):
        if isinstance(item, Refusal):
            broken.append((number, item))
        else:
            where, values = item
            rows.append(Row(number, where, values))
    return RowsOfFile(rows, broken, identity)


def _lines(text: str, name: str) -> Iterator[tuple[str, str]]:
    # Not `splitlines`: U+2028 and its kin are text in JSON, and end no line.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{name}:{number}", line


def _plain_lines(text: str, name: str) -> Found:
    for where, line in _lines(text, name):
        yield where, {"prompt": line.strip()}


def _json_lines(text: str, name: str) -> Found:
    for where, line in _lines(text, name):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Refusal(where, f"the line is not JSON: {said_of(error)}", excerpt(line))
            continue
        yield object_in(where, value)


def object_in(where: str, value: object) -> tuple[str, dict[str, object]] | Refusal:
    """A parsed row, if it is an object."""
    if isinstance(value, dict):
        return where, value
    return Refusal(where, f"the row is not an object but a {_json_name(value)}", excerpt(value))


def _json_name(value: object) -> str:
    names = {list: "list", str: "string", bool: "true or false", int: "number", float: "number"}
    return names.get(type(value), "null")


def said_of(error: Exception) -> str:
    """What is wrong with a text that is not JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_list(text: str, suffix: str) -> bool:
    if not text.lstrip(_JSON_SPACE).startswith("["):
        return False
    if suffix == ".json":
        return True
    try:  # a list that somebody called .jsonl
        first_line = text.strip().split("\n", 1)[0]
        json.loads(first_line)
    except (ValueError, RecursionError):
        return _parses(text)
    return "\n" not in text.strip()


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_list(text: str, name: str) -> Found:
    decoder = json.JSONDecoder()
    index = _skip_space(text, 0) + 1
    line, counted = 1, 0
    index = _skip_space(text, index)
    ended = text.startswith("]", index)
    while not ended:
        line, counted = line + text.count("\n", counted, index), index
        try:
            value, index = decoder.raw_decode(text, index)
        except (ValueError, RecursionError) as error:
            at = error.lineno if isinstance(error, json.JSONDecodeError) else line
            raise _broken_list(name, at, said_of(error)) from error
        yield object_in(f"{name}:{line}", value)
        index = _skip_space(text, index)
        ended = text.startswith("]", index)
        if not ended and not text.startswith(",", index):
            at = text.count("\n", 0, index) + 1
            raise _broken_list(name, at, "no comma and no `]` after a row")
        if not ended:
            index = _skip_space(text, index + 1)
    if text[index + 1 :].strip():
        raise _broken_list(name, text.count("\n", 0, index) + 1, "text after the end of the list")


def _skip_space(text: str, index: int) -> int:
    while index < len(text) and text[index] in _JSON_SPACE:
        index += 1
    return index


def _broken_list(name: str, line: int, found: str) -> DataError:
    return DataError(
        "a JSON file is broken, so none of its rows was taken",
        where=f"{name}:{line}",
        expected="a list of objects",
        found=found,
        hint="mend the file, or write it as JSONL, where a broken line costs only itself",
    )


def _table(text: str, name: str, delimiter: str | None) -> Found:
    if delimiter is None:
        header_line = text.lstrip("\r\n").split("\n", 1)[0]
        delimiter = ";" if ";" in header_line and "," not in header_line else ","
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        found = list(_table_rows(text, name, delimiter))
    finally:
        csv.field_size_limit(limit)
    yield from found


def _table_rows(text: str, name: str, delimiter: str) -> Found:
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        start = reader.line_num + 1
        where = f"{name}:{start}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if header is None:
                raise DataError("the header of a table is broken", where=where, found=str(error)) from error
            yield Refusal(where, f"the row is not CSV: {error}", excerpt(lines[start - 1]))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = header_of(cells, where)
        elif len(cells) != len(header):
            reason = f"the row has {len(cells)} cells and the header {len(header)}"
            yield Refusal(where, reason, excerpt(delimiter.join(cells)))
        else:
            yield where, dict(zip(header, cells, strict=True))


def header_of(cells: list[str], where: str) -> list[str]:
    """The names of a table's columns.

    Raises:
        DataError: two are the same.
    """
    header = [cell.strip() for cell in cells]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(
            "a table has two columns of the same name",
            where=where,
            expected="a name of its own for each column",
            found=", ".join(f"`{name}`" for name in twice) + " more than once",
            hint="rename the columns in the first line",
        )
    return header


def _nothing_read(path: Path, text: str, broken: list[Refusal]) -> DataError:
    if not broken:
        return DataError("a file has no rows", where=str(path), expected="at least one row", found="none")
    if text.lstrip(_JSON_SPACE).startswith("{") and _parses(text):
        return DataError(
            "a JSON file holds one object over several lines instead of rows",
            where=str(path),
            expected="a list of objects, or one object a line",
            hint="write out the list of rows within it as a file of its own",
        )
    return DataError(
        "no row of a file can be read",
        where=broken[0].where,
        expected="rows of JSONL, JSON, CSV or plain text, as the file's name says",
        found=f"{len(broken)} broken {'row' if len(broken) == 1 else 'rows'}; {broken[0].reason}",
    )
