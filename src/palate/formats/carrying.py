"""Rows of a known shape to records, with an account of every row refused and every column lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from palate.core.errors import DataError
from palate.formats.imported import PARTS, Imported, Refusal, excerpt
from palate.formats.shape import Row, Shape, is_blank

_SLIPS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a reader may stumble over in a row that nobody thought of; `DataError` is among them."""


def carry(
    form: Shape,
    rows: Iterable[Row],
    broken: Sequence[tuple[int, Refusal]] = (),
    *,
    identity: str = "",
    columns: Mapping[str, str] | None = None,
) -> Imported:
    """What the rows of a file, or of a part of it, become.

    Args:
        form: Their shape.
        rows: Joined already, where the shape joins rows.
        broken: Numbers of those that could not be parsed, and why.
        identity: Of the file.
        columns: The column map that was used.
    """
    refused = dict(broken)
    found: dict[str, list[Any]] = {name: [] for name in PARTS}
    lost: Counter[str] = Counter()
    read = len(broken)
    for row in rows:
        originals = row.originals
        read += len(originals)
        try:
            item = form.carry(row)
        except _SLIPS as error:
            reason = _reason(error)
            for part in originals:
                refused[part.number] = Refusal(part.where, reason, excerpt(dict(part.values)))
            continue
        for name, there in found.items():
            if new := getattr(item, name):
                there.extend(new)
        used = item.used
        for part in originals:
            for name, cell in part.values.items():
                if name not in used and not is_blank(cell):
                    lost[name] += 1
        if item.lost:
            lost.update(item.lost)
    return Imported(
        shape=form.name,
        **found,
        refused=[refused[number] for number in sorted(refused)],
        lost=dict(lost),
        rows=read,
        identity=identity,
        columns=dict(columns or {}),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, DataError):
        return f"{error.what}; found {error.found}" if error.found else error.what
    if isinstance(error, RecursionError):
        return "the row is nested too deeply"
    return f"the row is not what its shape promises: {type(error).__name__}: {str(error)[:80]}"
