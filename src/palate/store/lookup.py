"""Find rows by a set of values, however large the set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select

from palate.core.errors import DataError

_CHUNK = 500
"""SQLite takes a limited number of parameters in a statement."""


def matching(connection: Connection, query: Select[Any], column: Any, values: Iterable[str]) -> list[Any]:
    """Rows of `query` whose `column` is one of `values`."""
    wanted = sorted(set(values))
    rows: list[Any] = []
    for start in range(0, len(wanted), _CHUNK):
        rows.extend(connection.execute(query.where(column.in_(wanted[start : start + _CHUNK]))))
    return rows


def require(connection: Connection, column: Any, values: Iterable[str], *, who: str) -> None:
    """See to it that each of `values` is stored.

    Args:
        connection: In a transaction.
        column: Of the table that should hold the values; the table's name is the noun of the message.
        values: What should be there.
        who: Who needs it, such as `completions`.

    Raises:
        DataError: some are not there; it names the first of them and says how many there are.
    """
    wanted = set(values)
    missing = sorted(wanted - {row[0] for row in matching(connection, select(column), column, wanted)})
    if missing:
        noun = column.table.name
        raise DataError(
            f"{who} name a {noun} that is not in the journal",
            expected=f"the id of a stored {noun}",
            found=missing[0] + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint=f"add the {noun} first",
        )
