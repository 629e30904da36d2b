"""Write records as a target's file, and keep account of what it cannot carry."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from palate.core.errors import ConfigError, DataError
from palate.core.records import Demonstration, Preference, Prompt
from palate.formats import parquet
from palate.formats.files import PARQUET
from palate.formats.write.lossless import write_lines
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, PROMPTS, Row, Target

R = TypeVar("R")

_LINES_ONLY = (".jsonl", ".jsonl.gz")
NO_SIDE = "ties: no side is preferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of the records."""

    path: Path
    rows: int
    lost: dict[str, int]
    """What the shape cannot carry, and of how many written rows it was lost."""
    left_out: dict[str, int]
    """Why records were not written, and how many."""
    use: str
    """How the trainer is told about the file."""
    beside: tuple[Path, ...] = ()
    """Other files that were written or changed."""


def write_preferences(
    path: Path,
    target: Target,
    preferences: Sequence[Preference],
    *,
    known: Mapping[str, Collection[str]] | None = None,
) -> Written:
    """Write preferences; ties are left out, because every shape here must call one side better.

    Args:
        path: Where to; nothing may be there.
        target: The trainer that shall read it.
        preferences: What to write, in this order.
        known: By comparison id, the names of what is known beyond the preference and is lost now too,
            such as who judged.

    Raises:
        ConfigError: the target has no such files, or the path is taken.
        DataError: nothing can be written.
    """
    known = known or {}

    def lost(preference: Preference) -> set[str]:
        return _lost(preference) | set(known.get(preference.comparison, ()))

    def row(preference: Preference, _number: int) -> Row:
        if preference.p_chosen == 0.5:
            raise DataError(NO_SIDE)
        return target.preference(preference)

    return _write(path, target, PREFERENCES, preferences, row, lost)


def write_streamed(path: Path, target: Target, preferences: Iterable[Preference]) -> Written:
    """Write preferences as they come, in memory that does not grow with them; else as `write_preferences`.

    Raises:
        ConfigError: the path is taken, or its name does not say JSONL.
        DataError: nothing can be written; there is no file then.
    """
    suffix = _check(path, target)
    if suffix not in _LINES_ONLY:
        # A list or a table is written whole.
        return write_preferences(path, target, list(preferences))
    gone: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    kept = {"kind"} if PREFERENCES in target.keeps_kind_of else set()

    def rows() -> Iterator[Row]:
        for preference in preferences:
            try:
                if preference.p_chosen == 0.5:
                    raise DataError(NO_SIDE)
                row = target.preference(preference)
            except DataError as error:
                left_out[error.what] += 1
                continue
            gone.update(_lost(preference) - kept)
            yield row

    count = write_lines(path, rows(), _LINES_ONLY)
    if not count:
        path.unlink()
        raise _nothing(path, target, PREFERENCES, left_out)
    return Written(
        path=path,
        rows=count,
        lost=dict(sorted(gone.items())),
        left_out=dict(left_out),
        use=target.use[PREFERENCES],
        beside=target.beside(path, PREFERENCES),
    )


def _lost(preference: Preference) -> set[str]:
    names = {
        "soft label": preference.p_chosen != 1.0,
        "weight": preference.weight != 1.0,
        "votes": any(preference.votes),
        "comparison id": bool(preference.comparison),
        "kind": bool(preference.prompt.kind),
    }
    return {name for name, there in names.items() if there}


def write_demonstrations(path: Path, target: Target, demonstrations: Sequence[Demonstration]) -> Written:
    """Write demonstrations.

    Raises:
        ConfigError: the target has no such files, or the path is taken.
        DataError: nothing can be written.
    """

    def row(shown: Demonstration, _number: int) -> Row:
        return target.demonstration(shown)

    return _write(path, target, DEMONSTRATIONS, demonstrations, row, lambda shown: _kind(shown.prompt))


def write_prompts(path: Path, target: Target, prompts: Sequence[Prompt]) -> Written:
    """Write prompts without answers.

    Raises:
        ConfigError: the target has no such files, or the path is taken.
        DataError: nothing can be written.
    """
    if target.prompt is None:
        raise ConfigError(
            f"{target.name} takes no prompts without an answer",
            expected="preferences or demonstrations",
            found=f"{len(prompts)} prompts",
        )
    return _write(path, target, PROMPTS, prompts, target.prompt, _kind)


def _kind(prompt: Prompt) -> set[str]:
    return {"kind"} if prompt.kind else set()


def _write(
    path: Path,
    target: Target,
    what: str,
    records: Sequence[R],
    row: Callable[[R, int], Row],
    lost: Callable[[R], set[str]],
) -> Written:
    suffix = _check(path, target)
    rows: list[Row] = []
    gone: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for record in records:
        try:
            rows.append(row(record, len(rows)))
        except DataError as error:
            left_out[error.what] += 1
            continue
        kept = {"kind"} if what in target.keeps_kind_of else set()
        gone.update(lost(record) - kept)
    if not rows:
        raise _nothing(path, target, f"{len(records)} {what}", left_out)
    beside = _put(path, suffix, rows, lambda: target.beside(path, what))
    return Written(
        path=path,
        rows=len(rows),
        lost=dict(sorted(gone.items())),
        left_out=dict(left_out),
        use=target.use[what],
        beside=beside,
    )


def _nothing(path: Path, target: Target, what: str, left_out: Mapping[str, int]) -> DataError:
    return DataError(
        f"no row can be written for {target.name}",
        where=str(path),
        expected=f"at least one of {what}",
        found="; ".join(f"{count} times: {reason}" for reason, count in left_out.items()) or "none at all",
    )


def _check(path: Path, target: Target) -> str:
    suffix = next((known for known in sorted(target.suffixes, key=len)[::-1] if path.name.endswith(known)), None)
    if suffix is None:
        raise ConfigError(
            f"{target.name} does not read files of this name",
            where="--out",
            expected=f"a name that ends in {', '.join(target.suffixes)}",
            found=f"`{path.name}`",
        )
    if path.exists():
        raise ConfigError("there is a file of this name", where=str(path), hint="remove it, or give another --out")
    return suffix


def _put(path: Path, suffix: str, rows: Sequence[Row], beside: Callable[[], tuple[Path, ...]]) -> tuple[Path, ...]:
    """Write under another name and rename, so that nobody sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        if suffix == PARQUET:
            parquet.write_rows(part, rows)
        else:
            data = _encoded(path, _lines(rows, whole=suffix == ".json"))
            # No time in the file: the same rows are the same bytes.
            part.write_bytes(gzip.compress(data, mtime=0) if suffix.endswith(".gz") else data)
        written = beside()
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return written


def _lines(rows: Sequence[Row], *, whole: bool) -> Iterable[str]:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return ["[\n" + ",\n".join(lines) + "\n]\n"] if whole else [line + "\n" for line in lines]


def _encoded(path: Path, lines: Iterable[str]) -> bytes:
    data = bytearray()
    for number, line in enumerate(lines, start=1):
        try:
            data += line.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                "a text cannot be written",
                where=f"{path.name}:{number}",
                expected="text that can be written as UTF-8",
                found=ascii(error.object[max(0, error.start - 20) : error.end + 20]),
                hint="repair or drop the row; half of a surrogate pair is no character",
            ) from error
    return bytes(data)
