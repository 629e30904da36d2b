"""What people who use a release were shown and what they chose, in the order in which it came."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import exists, select

from palate.store import schema
from palate.store.chats import ATTACK
from palate.store.journal import Journal


class Shown(NamedTuple):
    """An answer was shown to someone."""

    person: str
    """A pseudonym."""
    completion: str
    policy: str
    """Who wrote it, see `core.authors`."""
    at: str
    """UTC, ISO 8601."""


class Chose(NamedTuple):
    """Somebody judged a pair of answers."""

    person: str
    comparison: str
    first: str
    """Who wrote the first one."""
    second: str
    verdict: str
    """A `core.records.Verdict`."""
    at: str
    """UTC, ISO 8601."""


def shown(journal: Journal, since: str = "") -> list[Shown]:
    """Answers that were shown in chats and to programs from a moment on; attacks on a policy are no use of it."""
    table, said, chat = schema.exposure, schema.completion, schema.chat
    attack = exists().where(chat.c.id == table.c.chat, chat.c.kind == ATTACK)
    query = select(table.c.person, table.c.completion, said.c.policy, table.c.shown_at)
    query = query.join(said, table.c.completion == said.c.id).where(~attack).order_by(table.c.seq)
    if since:
        query = query.where(table.c.shown_at >= since)
    with journal.reading() as connection:
        return [Shown(*row) for row in connection.execute(query)]


def chose(journal: Journal, source: str, since: str = "") -> list[Chose]:
    """What people, not models, said of pairs that were made for one reason, see `Comparison.source`."""
    said, pair, rater = schema.judgement, schema.comparison, schema.rater
    first, second = schema.completion.alias("one"), schema.completion.alias("other")
    query = select(said.c.rater, pair.c.id, first.c.policy, second.c.policy, said.c.verdict, said.c.judged_at)
    query = query.join(pair, said.c.comparison == pair.c.id).join(rater, said.c.rater == rater.c.id)
    query = query.join(first, pair.c.first == first.c.id).join(second, pair.c.second == second.c.id)
    query = query.where(pair.c.source == source, rater.c.kind == "person").order_by(said.c.seq)
    if since:
        query = query.where(said.c.judged_at >= since)
    with journal.reading() as connection:
        return [Chose(*row) for row in connection.execute(query)]
