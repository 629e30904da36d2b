"""Rows in, found things out, whoever does the work; what was found stands in a file and is never asked for twice.

A worker may die, and a row may kill every worker that touches it. What was in flight is given out again; what was in
flight at two deaths is tried alone, so that only the row that kills is left without a result, and says so.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from palate.core.errors import ConfigError, DataError
from palate.core.progress import SILENT, Progress

Work = Callable[[list[Any]], list[Any]]
"""From rows to what was found, in their order."""
ALONE_AFTER: Final = 2
"""Deaths after which a chunk is tried with nothing beside it."""
DEATHS: Final = 3
"""Deaths after which a chunk is parted, and a single row given up."""


class Job(NamedTuple):
    """What is to be done."""

    make: str
    """`module:function`, which makes a `Work` of the settings, once in each worker."""
    settings: dict[str, Any]
    """Anything JSON can hold."""


class Row(NamedTuple):
    """One thing to work on."""

    id: str
    """Unlike any other row's."""
    given: Any
    """Anything JSON can hold."""


class WorkerDied(Exception):
    """The process that had the rows is gone."""


class Pool(Protocol):
    """Workers."""

    @property
    def size(self) -> int:
        """How many."""

    def start(self, job: Job) -> None:
        """Have them ready, or ready again after one died."""

    def submit(self, given: list[Any]) -> Future[list[Any]]:
        """Rows for one of them. The future raises `WorkerDied` when it is gone, and what the work raises otherwise."""

    def stop(self) -> None:
        """Send them home."""


@dataclass(slots=True)
class Report:
    """What came of it."""

    done: int = 0
    """Rows with a result, those of earlier runs among them."""
    before: int = 0
    """Of these, found by earlier runs."""
    failed: dict[str, str] = field(default_factory=dict)
    """Rows without one, and why. They are tried again next time."""
    deaths: int = 0
    """Of workers."""


@dataclass(slots=True)
class _Chunk:
    rows: list[Row]
    deaths: int = 0


def run(
    job: Job, rows: Iterable[Row], keep: Path, pool: Pool, *, at_once: int = 32, progress: Progress = SILENT
) -> Report:
    """Work on rows until each has a result or a reason why not.

    Args:
        job: What is done.
        rows: To work on. Read as they are needed, so they need not fit into memory.
        keep: A file of lines; what stands in it is not worked on again.
        pool: Who works.
        at_once: Rows a worker is given at a time.
        progress: Who listens.

    Raises:
        ConfigError: `at_once` is no number of rows.
        DataError: a line of the file is none of this function's.
    """
    if at_once < 1:
        raise ConfigError("a worker needs rows", expected="at_once of 1 or more", found=str(at_once))
    keep.parent.mkdir(parents=True, exist_ok=True)
    known = set(found(keep))
    report = Report(done=len(known), before=len(known))
    _mend(keep)
    progress.start("working", 0)
    pool.start(job)
    try:
        with keep.open("a", encoding="utf-8") as handle:
            for chunk, results in _worked(pool, job, _chunks(rows, known, at_once), report):
                lines = (
                    json.dumps({"id": row.id, "found": result}, ensure_ascii=False) + "\n"
                    for row, result in zip(chunk.rows, results, strict=True)
                )
                handle.write("".join(lines))
                handle.flush()
                report.done += len(chunk.rows)
                progress.advance(report.done - report.before)
    finally:
        pool.stop()
        progress.finish()
    return report


def each(job: Job, rows: Iterable[Row], pool: Pool, report: Report, *, at_once: int = 32) -> Iterator[tuple[Row, Any]]:
    """Rows with what was found, as they are finished; whoever asks writes it down.

    Args:
        job: What is done.
        rows: To work on.
        pool: Who works; it was started with this job.
        report: What came of it is added here.
        at_once: Rows a worker is given at a time.
    """
    for chunk, results in _worked(pool, job, _chunks(rows, set(), at_once), report):
        report.done += len(chunk.rows)
        yield from zip(chunk.rows, results, strict=True)


def found(keep: Path) -> dict[str, Any]:
    """What stands in the file, by row; a last line that a death cut off does not count.

    Raises:
        DataError: a whole line is none.
    """
    if not keep.is_file():
        return {}
    told: dict[str, Any] = {}
    with keep.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            if not line.endswith("\n"):
                break
            try:
                row = json.loads(line)
                told[row["id"]] = row["found"]
            except (ValueError, LookupError, TypeError) as error:
                raise DataError(
                    "a line is no result",
                    where=f"{keep}, line {number}",
                    expected='{"id": …, "found": …}',
                    found=line[:80],
                ) from error
    return told


def _mend(keep: Path) -> None:
    """Take away what a death left of a line."""
    if keep.is_file() and (text := keep.read_bytes()) and not text.endswith(b"\n"):
        with keep.open("r+b") as handle:
            handle.truncate(text.rfind(b"\n") + 1)


def _chunks(rows: Iterable[Row], known: set[str], at_once: int) -> Iterator[_Chunk]:
    seen: set[str] = set()
    waiting: list[Row] = []
    for row in rows:
        if row.id in seen:
            raise DataError("two rows have one id", found=row.id)
        seen.add(row.id)
        if row.id not in known:
            waiting.append(row)
        if len(waiting) == at_once:
            yield _Chunk(waiting)
            waiting = []
    if waiting:
        yield _Chunk(waiting)


def _worked(pool: Pool, job: Job, fresh: Iterator[_Chunk], report: Report) -> Iterator[tuple[_Chunk, Sequence[Any]]]:
    """Chunks as they are finished."""
    again: deque[_Chunk] = deque()
    flying: dict[Future[list[Any]], _Chunk] = {}
    while True:
        suspect = next((one for one in again if one.deaths >= ALONE_AFTER), None)
        if suspect is not None and not flying:
            again.remove(suspect)
            flying[pool.submit([row.given for row in suspect.rows])] = suspect
        while suspect is None and len(flying) < 2 * pool.size:
            chunk = again.popleft() if again else next(fresh, None)
            if chunk is None:
                break
            flying[pool.submit([row.given for row in chunk.rows])] = chunk
        if not flying:
            return
        died = yield from _settled(wait(flying, return_when=FIRST_COMPLETED).done, flying, again, report)
        if died:
            report.deaths += 1
            pool.start(job)
            # Whatever else was with the old workers came, or never will: it is the same death.
            yield from _settled(wait(flying).done, flying, again, report)


def _settled(
    done: Iterable[Future[list[Any]]],
    flying: dict[Future[list[Any]], _Chunk],
    again: deque[_Chunk],
    report: Report,
) -> Generator[tuple[_Chunk, Sequence[Any]], None, bool]:
    """Chunks that came back with results; what did not is put aside, to be done again. True when a worker died."""
    died = False
    for future in done:
        chunk = flying.pop(future)
        try:
            results = future.result()
            if len(results) != len(chunk.rows):
                raise ValueError(f"{len(results)} results for {len(chunk.rows)} rows")
        except WorkerDied:
            died = True
            chunk.deaths += 1
            again.extend(_after(chunk, "its worker died each time", chunk.deaths < DEATHS, report))
        except Exception as error:  # noqa: BLE001 - whatever the work raises is the row's
            again.extend(_after(chunk, f"{type(error).__name__}: {error}", False, report))
        else:
            yield chunk, results
    return died


def _after(chunk: _Chunk, why: str, whole: bool, report: Report) -> list[_Chunk]:
    """What becomes of a chunk that did not work: once more, in single rows, or given up."""
    if whole:
        return [chunk]
    if len(chunk.rows) == 1:
        report.failed[chunk.rows[0].id] = why
        return []
    # Single rows that were there at a death are suspects; the others have only been beside an error.
    return [_Chunk([row], ALONE_AFTER if chunk.deaths else 0) for row in chunk.rows]
