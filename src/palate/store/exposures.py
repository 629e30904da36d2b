"""Which answer was shown to whom: the number that thumbs are counted against."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import exists, func, insert, select

from palate.store import schema
from palate.store.chats import ATTACK
from palate.store.journal import Journal
from palate.store.lookup import matching, require


class Exposure(NamedTuple):
    """An answer was shown to someone."""

    completion: str
    person: str
    """A pseudonym."""
    chat: str
    """Id of the chat, or of the reply to a program."""
    shown_at: str = ""
    """UTC, ISO 8601; now, when empty."""


def add(journal: Journal, exposures: Sequence[Exposure]) -> None:
    """Store exposures. Each counts: who sees an answer twice was shown it twice.

    Raises:
        DataError: a completion is unknown. Nothing is stored then.
    """
    if not exposures:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with journal.transaction() as connection:
        require(connection, schema.completion.c.id, {one.completion for one in exposures}, who="exposures")
        rows = [one._replace(shown_at=one.shown_at or now)._asdict() for one in exposures]
        connection.execute(insert(schema.exposure), rows)


def count(journal: Journal, completions: Iterable[str]) -> dict[str, int]:
    """How often each of some completions was shown; one that never was is left out."""
    table = schema.exposure
    query = select(table.c.completion, func.count()).group_by(table.c.completion)
    with journal.reading() as connection:
        return {row[0]: row[1] for row in matching(connection, query, table.c.completion, completions)}


def by_policy(journal: Journal) -> dict[str, int]:
    """How many answers of each policy were shown in chats and to programs; attacks on it are no use of it."""
    table, said, chat = schema.exposure, schema.completion, schema.chat
    attack = exists().where(chat.c.id == table.c.chat, chat.c.kind == ATTACK)
    query = select(said.c.policy, func.count()).join(table, table.c.completion == said.c.id)
    query = query.where(~attack).group_by(said.c.policy)
    with journal.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def of_chat(journal: Journal, chat: str) -> list[Exposure]:
    """What was shown in a chat, in its order."""
    table = schema.exposure
    with journal.reading() as connection:
        rows = connection.execute(select(table).where(table.c.chat == chat).order_by(table.c.seq)).all()
    return [Exposure(row.completion, row.person, row.chat, row.shown_at) for row in rows]


def first_questions(journal: Journal, since: str) -> list[str]:
    """What was asked first in each chat that began after a moment, in their order; attacks are no use of a release.

    Args:
        journal: The journal.
        since: UTC, ISO 8601.
    """
    table, said, asked, chat = schema.exposure, schema.completion, schema.prompt, schema.chat
    attack = exists().where(chat.c.id == table.c.chat, chat.c.kind == ATTACK)
    first = select(func.min(table.c.seq)).where(~attack).group_by(table.c.chat)
    query = (
        select(asked.c.messages)
        .join(said, said.c.prompt == asked.c.id)
        .join(table, table.c.completion == said.c.id)
        .where(table.c.seq.in_(first), table.c.shown_at > since)
        .order_by(table.c.seq)
    )
    with journal.reading() as connection:
        return [str(json.loads(row.messages)[-1]["content"]) for row in connection.execute(query)]
