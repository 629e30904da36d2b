"""Take a person's name out of rows that stay: who did what as a lead, what settings and the audit log say of them.

Facts of that kind stay, under a name that says nothing; reasons and notes that the person gave there go. The text of a
guideline is the project's, and stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, select, update

from palate.store import schema, settings
from palate.store.marks import SAID, WHO, is_of
from palate.store.schema.columns import AnyText
from palate.store.traces import Traces

_TABLES: Final = (
    schema.audit, schema.setting, schema.guideline, schema.guideline_in_force, schema.check_item, schema.finding_step,
    schema.voice, schema.round_, schema.round_step, schema.release, schema.release_alias, schema.experiment,
    schema.experiment_step, schema.taint, schema.invitation,
)  # fmt: skip
"""Where people are named beside what they did."""
_SOURCES: Final = (schema.comparison, schema.slate, schema.task)
"""Tables with a column `source`, which others name."""
_OURS: Final = {("guideline", "text"), ("guideline", "id"), ("round", "id"), ("release", "id"), ("experiment", "id")}


def unname(connection: Connection, traces: Traces, alias: str) -> dict[str, int]:
    """Put `alias` in the place of a person's names, while facts may be changed; rows by table.

    Args:
        connection: In the transaction that erases, after the person's own rows are gone.
        traces: Of the person.
        alias: What they are called from now on.
    """
    changed: dict[str, int] = {}
    for table in _TABLES:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
        count = sum(_clean(connection, table, row, traces, alias) for row in rows)
        if count:
            changed[table.name] = count
    for table in _SOURCES:
        count = 0
        for source in list(connection.execute(select(table.c.source).distinct()).scalars()):
            if (other := traces.without(source, alias, "author")) != source:
                count += connection.execute(update(table).where(table.c.source == source).values(source=other)).rowcount
        if count:
            changed[table.name] = count
    return changed


def _clean(connection: Connection, table: Table, row: Mapping[str, Any], traces: Traces, alias: str) -> bool:
    """Change one row where it must be; whether it was."""
    if row.get("key") == settings.KEY:
        return False
    theirs = is_of(row, traces.marks.names)
    values = {}
    for column in table.columns:
        name, value = column.name, row[column.name]
        if not isinstance(column.type, AnyText) or not isinstance(value, str) or (table.name, name) in _OURS:
            continue
        left = _left(name, value, traces, alias, theirs)
        if left != value:
            values[name] = left
    if values:
        which = [column == row[column.name] for column in table.primary_key.columns]
        connection.execute(update(table).where(*which).values(values))
    return bool(values)


def _left(name: str, value: str, traces: Traces, alias: str, theirs: bool) -> str:
    """What stays of a column's value."""
    if theirs and name in SAID:
        return ""
    if value[:1] in ("{", "["):
        try:
            told = json.loads(value)
        except ValueError:
            told = value
        if isinstance(told, Mapping) and (theirs or is_of(told, traces.marks.names)):
            told = {key: "" if key in SAID and isinstance(one, str) else one for key, one in told.items()}
            value = json.dumps(told, ensure_ascii=False)
        left = traces.without(told, alias)
        return value if left == told else left if isinstance(left, str) else json.dumps(left, ensure_ascii=False)
    # A column of an actor holds a name, however short it is.
    return str(traces.without(value, alias, "actor" if name in WHO else name))
