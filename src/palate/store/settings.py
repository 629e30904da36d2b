"""What a project's people set on pages, one JSON value a name; and the project's own key."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from palate.core.pseudonyms import new_key
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time

KEY = "pseudonyms.key"
"""Of the setting that holds the key of the pseudonyms."""


def get(journal: Journal, name: str) -> Any:
    """The value of a setting, or None."""
    with journal.reading() as connection:
        return _get(connection, name)


def put(journal: Journal, name: str, value: Any) -> None:
    """Set it; with None, forget it."""
    with journal.transaction() as connection:
        one_at_a_time(connection, f"setting {name}")
        _put(connection, name, value)


def key(journal: Journal) -> bytes:
    """The key of the project's pseudonyms, see `palate.core.pseudonyms`; made when it is first asked for."""
    with journal.reading() as connection:
        found = _get(connection, KEY)
    if found is None:
        with journal.transaction() as connection:
            one_at_a_time(connection, f"setting {KEY}")
            found = _get(connection, KEY)
            if found is None:
                found = new_key().hex()
                _put(connection, KEY, found)
    return bytes.fromhex(found)


def new_pseudonyms(journal: Journal) -> None:
    """Throw the key away: from now on everybody has a new pseudonym, and no old one can be computed again."""
    put(journal, KEY, new_key().hex())


def _get(connection: Connection, name: str) -> Any:
    table = schema.setting
    found = connection.execute(select(table.c.value).where(table.c.key == name)).scalar()
    return None if found is None else json.loads(found)


def _put(connection: Connection, name: str, value: Any) -> None:
    table = schema.setting
    connection.execute(delete(table).where(table.c.key == name))
    if value is not None:
        connection.execute(insert(table), {"key": name, "value": json.dumps(value, ensure_ascii=False)})
