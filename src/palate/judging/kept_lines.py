"""A file of lines that grows while work is done: what stands there is not done again, and what a death left is cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from palate.core.errors import DataError


def append(keep: Path, who: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows down, each under the name of whoever made it."""
    keep.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"by": who, **row}, ensure_ascii=False) + "\n" for row in rows]
    with keep.open("a", encoding="utf-8") as handle:
        handle.write("".join(lines))


def kept(keep: Path, who: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each row stands, and the row; half a line at the end is taken away.

    Raises:
        DataError: a line is no row, or was made by another.
    """
    if not keep.is_file():
        return
    whole = keep.read_bytes()
    if not whole.endswith(b"\n"):
        whole = whole[: whole.rfind(b"\n") + 1]
        with keep.open("r+b") as handle:
            handle.truncate(len(whole))
    for number, line in enumerate(whole.decode("utf-8").split("\n")[:-1], 1):
        where = f"{keep}, line {number}"
        try:
            row = json.loads(line)
            by = row.pop("by")
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise DataError("a line is none that was written here", where=where, found=line[:80]) from error
        if by != who:
            raise DataError(
                "the file holds what another model made, or what was made in another way",
                where=where, hint="name another project folder, or take this file away",
            )  # fmt: skip
        yield where, row
