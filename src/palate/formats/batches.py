"""Read a foreign file batch by batch, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from palate.core.errors import DataError
from palate.core.ids import file_id
from palate.formats import chatgpt, hub, parquet
from palate.formats.carrying import carry
from palate.formats.files import PARQUET
from palate.formats.imported import Imported, Refusal
from palate.formats.limits import LIMITS, Limits
from palate.formats.reading import all_refused, asked, check_asked, detect
from palate.formats.rows import rows_of
from palate.formats.shape import Row, Shape, each
from palate.formats.streaming import Item, items_of

_HEAD_ROWS = 1_000


class Stream(NamedTuple):
    """A file whose shape is known, and that is about to be read."""

    shape: str
    identity: str
    """Id of the file's bytes."""
    batches: Iterator[Imported]
    """In the order of the file; each keeps account of its own rows. Raises as `stream` does."""


def stream(
    path: Path | str,
    *,
    shape: str | None = None,
    columns: Mapping[str, str] | None = None,
    limits: Limits = LIMITS,
) -> Stream:
    """Everything in a file of any known shape, a batch at a time. Broken rows are refused, and stop nothing.

    Shapes whose rows say something only together (`oasst` as single messages, `helpsteer` ratings, `unpaired`)
    are read whole before the first batch; memory then grows with the file.

    Args:
        path: As for `palate.formats.read`, or a folder or .zip that ChatGPT exported.
        shape: One of `SHAPES`; found out from the first rows when not given.
        columns: For any other table: Palate's name for a column to the file's.
        limits: How long a row may be, and the like.

    Raises:
        MissingArtefact: there is no such file.
        DataError: the file cannot be read, its shape is not known, or, at the end, all its rows were refused.
        ConfigError: the shape or the column map makes no sense.
    """
    path = Path(path)
    check_asked(shape, columns)
    source = _source(path, limits)
    numbered = _numbered(source.items)
    head = _head(numbered, limits)
    rows = [item.row for item in head if isinstance(item.row, Row)]
    if not rows:
        raise _nothing(path, source, head)
    form = asked(shape, columns, rows) or detect(path, rows)
    form.check(rows, path.name)
    identity = source.identity()
    every = chain(head, numbered)
    batches = _batches(form, every if form.join is each else _joined(form, every), limits, identity, columns or {})
    return Stream(form.name, identity, _counted(path, batches))


class _Source(NamedTuple):
    items: Iterator[Item]
    identity: Callable[[], str]
    is_text: bool = False


class _Numbered(NamedTuple):
    number: int
    row: Row | Refusal
    size: int


def _source(path: Path, limits: Limits) -> _Source:
    if chatgpt.is_export(path):
        return _Source(chatgpt.items_of(path, limits), lambda: chatgpt.identity(path))
    if hub.is_hub(path):
        found = hub.rows_of(path)
        return _Source((Item((row.where, dict(row.values)), 0) for row in found.rows), lambda: found.identity)
    if path.suffix.lower() == PARQUET:
        return _Source((Item(row, 0) for row in parquet.found_in(path)), lambda: file_id(path))
    if path.is_dir():
        rows_of(path)  # says what is in the folder
    return _Source(items_of(path, limits), lambda: file_id(path), is_text=True)


def _numbered(items: Iterator[Item]) -> Iterator[_Numbered]:
    for number, (found, size) in enumerate(items, start=1):
        row = found if isinstance(found, Refusal) else Row(number, *found)
        yield _Numbered(number, row, size)


def _head(numbered: Iterator[_Numbered], limits: Limits) -> list[_Numbered]:
    head, size, rows = [], 0, 0
    for item in numbered:
        head.append(item)
        size += item.size
        rows += isinstance(item.row, Row)
        if rows >= _HEAD_ROWS or size >= limits.batch_bytes:
            break
    return head


def _joined(form: Shape, numbered: Iterator[_Numbered]) -> Iterator[_Numbered]:
    rows: list[Row] = []
    for item in numbered:
        if isinstance(item.row, Row):
            rows.append(item.row)
        else:
            yield item
    yield from (_Numbered(row.number, row, 0) for row in form.join(rows))


def _batches(
    form: Shape, numbered: Iterator[_Numbered], limits: Limits, identity: str, columns: Mapping[str, str]
) -> Iterator[Imported]:
    rows: list[Row] = []
    broken: list[tuple[int, Refusal]] = []
    size = 0
    for number, row, bytes_of_row in numbered:
        if isinstance(row, Row):
            rows.append(row)
        else:
            broken.append((number, row))
        size += bytes_of_row
        if len(rows) + len(broken) >= limits.batch_rows or size >= limits.batch_bytes:
            yield carry(form, rows, broken, identity=identity, columns=columns)
            rows, broken, size = [], [], 0
    if rows or broken:
        yield carry(form, rows, broken, identity=identity, columns=columns)


def _counted(path: Path, batches: Iterator[Imported]) -> Iterator[Imported]:
    """The batches; an error at the end if not one of them held anything."""
    something = False
    last: Imported | None = None
    for batch in batches:
        something = something or batch.holds_something
        last = batch
        yield batch
    if last is not None and not something:
        raise all_refused(path, last)


def _nothing(path: Path, source: _Source, head: list[_Numbered]) -> DataError:
    """Why nothing of a file can be read. What a small text file lacks is told best by reading it as a whole."""
    if source.is_text and path.stat().st_size < LIMITS.row_bytes:
        try:
            rows_of(path)
        except DataError as error:
            return error
    refusals = [item.row for item in head if isinstance(item.row, Refusal)]
    return DataError(
        "no row of a file can be read",
        where=refusals[0].where if refusals else str(path),
        expected="at least one row",
        found=f"{len(refusals)} broken rows; {refusals[0].reason}" if refusals else "none",
    )
