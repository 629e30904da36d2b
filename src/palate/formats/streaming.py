"""The rows of a foreign file one after the other, in memory that does not grow with the file.

A broken row comes out as a `Refusal` in its place. Rows count as in `palate.formats.rows`: from 1, the broken ones
too, blank lines not; so a row has the same number, and its judgement the same id, whichever way it is read.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from palate.core.errors import DataError
from palate.formats.files import suffix_of
from palate.formats.imported import Refusal, excerpt
from palate.formats.limits import Limits
from palate.formats.lines import Line, lines_of, pieces_of
from palate.formats.rows import header_of, object_in, said_of

_SPACE = " \t\n\r"


class Item(NamedTuple):
    """One row that could be parsed, or why it could not."""

    row: tuple[str, dict[str, object]] | Refusal
    size: int
    """Bytes that it took in the file."""


def items_of(path: Path, limits: Limits) -> Iterator[Item]:
    """The rows of a text file, as its name says what it is.

    Raises:
        MissingArtefact: there is no such file.
        DataError: it cannot be opened, its name tells nothing, or it is a table with a broken header.
    """
    suffix = suffix_of(path)
    if suffix == ".txt":
        return _plain(lines_of(path, limits), path.name)
    if suffix in (".csv", ".tsv"):
        return _Table(lines_of(path, limits), path.name, "\t" if suffix == ".tsv" else "", limits).items()
    return _json(path, suffix, limits)


def _plain(lines: Iterable[Line | Refusal], name: str) -> Iterator[Item]:
    for line in lines:
        if isinstance(line, Refusal):
            yield Item(line, 0)
        else:
            yield Item((f"{name}:{line.number}", {"prompt": line.text.strip()}), line.size)


def _json(path: Path, suffix: str, limits: Limits) -> Iterator[Item]:
    lines = lines_of(path, limits)
    first = next(lines, None)
    if isinstance(first, Refusal):
        # A line without an end may be a whole list, and then it is read in pieces.
        is_list = first.excerpt.startswith("[")
    else:
        is_list = first is not None and first.text.lstrip(_SPACE).startswith("[")
    if is_list and (suffix == ".json" or isinstance(first, Refusal)):
        return list_items(pieces_of(path, limits), path.name, limits)
    if is_list and isinstance(first, Line):  # a list that somebody called .jsonl
        second = next(lines, None)
        if second is None or not _parses(first.text):
            return list_items(pieces_of(path, limits), path.name, limits)
        lines = chain([second], lines)
    return _json_lines(chain([] if first is None else [first], lines), path.name)


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(lines: Iterable[Line | Refusal], name: str) -> Iterator[Item]:
    loads = json.loads
    for line in lines:
        if isinstance(line, Refusal):
            yield Item(line, 0)
            continue
        where = f"{name}:{line.number}"
        try:
            value = loads(line.text)
        except (ValueError, RecursionError) as error:
            yield Item(Refusal(where, f"the line is not JSON: {said_of(error)}", excerpt(line.text)), line.size)
            continue
        yield Item(object_in(where, value), line.size)


def list_items(pieces: Iterable[str | Refusal], name: str, limits: Limits) -> Iterator[Item]:
    """The objects of one list that runs over a whole file; behind a broken one nothing can be told apart."""
    decoder = json.JSONDecoder()
    held, index, line, counted = "", 0, 1, 0
    wanted = 0  # a value that did not fit is tried again when there is twice as much, so that work stays linear
    opened = False
    for piece in chain(pieces, [None]):
        if isinstance(piece, Refusal):
            yield Item(piece, 0)
            return
        held, index, counted = held[index:] + (piece or ""), 0, 0
        if piece is not None and len(held) < wanted:
            continue
        while (index := _next_value(held, index, opened)) < len(held):
            opened = True
            line, counted = line + held.count("\n", counted, index), index
            where = f"{name}:{line}"
            if held[index] == "]":
                if held[index + 1 :].strip(_SPACE):
                    yield Item(Refusal(where, "there is text behind the end of the list", ""), 0)
                return
            try:
                value, end = decoder.raw_decode(held, index)
            except (ValueError, RecursionError) as error:
                if piece is None or isinstance(error, RecursionError) or len(held) - index > limits.row_bytes:
                    reason = f"the list is broken here, so the rest was not read: {said_of(error)}"
                    yield Item(Refusal(where, reason, excerpt(held[index : index + 400])), 0)
                    return
                wanted = 2 * (len(held) - index)
                break
            if end == len(held) and piece is not None and not isinstance(value, dict):
                break  # a number may go on in the next piece
            wanted = 0
            yield Item(object_in(where, value), end - index)
            index = end
        line += held.count("\n", counted, index)
    yield Item(Refusal(f"{name}:{line}", "the list does not end: the file is cut short", ""), 0)


def _next_value(text: str, index: int, opened: bool) -> int:
    """Where the next value begins, behind space and a comma, or the bracket that opens the list."""
    index = _after_space(text, index)
    if index < len(text) and text[index] == ("," if opened else "["):
        index = _after_space(text, index + 1)
    return index


def _after_space(text: str, index: int) -> int:
    while index < len(text) and text[index] in _SPACE:
        index += 1
    return index


class _Table:
    """A table whose rows may run over several lines; a row that goes wrong costs its first line only."""

    def __init__(self, lines: Iterator[Line | Refusal], name: str, delimiter: str, limits: Limits) -> None:
        self._lines = lines
        self._name = name
        self._delimiter = delimiter
        self._limits = limits
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._refused: list[Refusal] = []

    def items(self) -> Iterator[Item]:
        """The rows below the header."""
        header: list[str] | None = None
        while (cells := self._next_row(header is None)) is not None:
            size = sum(line.size for line in self._taken)
            yield from (Item(refusal, 0) for refusal in self._refused)
            self._refused.clear()
            if isinstance(cells, Refusal):
                yield Item(cells, size)
                continue
            where = f"{self._name}:{self._taken[0].number}"
            if header is None:
                header = header_of(cells, where)
            elif len(cells) != len(header):
                reason = f"the row has {len(cells)} cells and the header {len(header)}"
                yield Item(Refusal(where, reason, excerpt(",".join(cells))), size)
            elif any(cell.strip() for cell in cells):
                yield Item((where, dict(zip(header, cells, strict=True))), size)
        yield from (Item(refusal, 0) for refusal in self._refused)

    def _next_row(self, is_header: bool) -> list[str] | Refusal | None:
        self._taken = []
        feed = self._feed()
        if not self._delimiter and is_header:
            first = next(feed, "")
            self._again.extendleft(reversed(self._taken))
            self._taken = []
            self._delimiter = ";" if ";" in first and "," not in first else ","
        limit = csv.field_size_limit(self._limits.row_bytes)
        try:
            return next(csv.reader(feed, delimiter=self._delimiter, strict=True))
        except StopIteration:
            return None
        except csv.Error as error:
            first_line, *others = self._taken
            self._again.extendleft(reversed(others))
            self._taken = [first_line]
            where = f"{self._name}:{first_line.number}"
            if is_header:
                raise DataError("the header of a table is broken", where=where, found=str(error)) from error
            return Refusal(where, f"the row is not CSV: {error}", excerpt(first_line.text))
        finally:
            csv.field_size_limit(limit)

    def _feed(self) -> Iterator[str]:
        """Lines for one row; none when it takes too many, which leaves it without an end."""
        size = 0
        while len(self._taken) < self._limits.table_lines and size <= self._limits.row_bytes:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            if isinstance(line, Refusal):
                self._refused.append(line)
                continue
            self._taken.append(line)
            size += line.size
            yield line.text + "\n"
