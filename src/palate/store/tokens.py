"""Tokens for programs: `sk-palate-` and 32 random bytes. The journal keeps the hash and the first characters."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update

from palate.core.errors import ConfigError, DataError
from palate.store import people, schema
from palate.store.hashes import secret_hash
from palate.store.journal import Journal
from palate.store.people import Account

START = "sk-palate-"
SCOPES = ("chat", "feedback", "rate", "train", "admin")
_SHOWN = 8
_USED_S = 60.0
"""How exactly it is known when a token was last used."""


class Token(NamedTuple):
    """A token as its owner sees it."""

    id: str
    """By which it is revoked."""
    prefix: str
    """Its first characters."""
    account: str
    name: str
    scopes: tuple[str, ...]
    created_s: float
    expires_s: float | None
    """None for never."""
    last_used: float | None
    """To the minute; None for never."""


class Found(NamedTuple):
    """Who is at the other end, and what they may do."""

    account: Account
    scopes: tuple[str, ...]
    prefix: str


def create(journal: Journal, account: str, scopes: Iterable[str], *, name: str = "", days: float | None = None) -> str:
    """Make a token for an account; its secret, which is shown once.

    Args:
        journal: The journal.
        account: Id of the account that it acts for.
        scopes: What it may do, see `SCOPES`.
        name: For its owner's list.
        days: So long it is good; for ever when None.

    Raises:
        ConfigError: a scope is none, or there is none at all.
        DataError: there is no such account, or it is not active.
    """
    wanted = tuple(dict.fromkeys(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        found = ", ".join(wanted) or "none"
        raise ConfigError("a token may do what Palate does not know", expected=", ".join(SCOPES), found=found)
    owner = people.find(journal, account)
    if owner is None or not owner.active:
        raise DataError("a token is for an account that is closed", where=f"account {account!r}")
    secret, now_s = START + secrets.token_urlsafe(32), time.time()
    row = {
        "hash": secret_hash(secret),
        "prefix": secret[: len(START) + _SHOWN],
        "account": account,
        "name": name,
        "scopes": " ".join(wanted),
        "created_s": now_s,
        "expires_s": None if days is None else now_s + days * 86400,
        "used_s": None,
    }
    with journal.transaction() as connection:
        connection.execute(insert(schema.token), row)
    return secret


def find(journal: Journal, secret: str) -> Found | None:
    """Whose token this is; None if it is unknown, revoked or has run out, or its account is not active."""
    table, account = schema.token, schema.account
    hashed, now_s = secret_hash(secret), time.time()
    query = (
        select(account, table.c.scopes, table.c.prefix, table.c.expires_s, table.c.used_s)
        .join(table, table.c.account == account.c.id)
        .where(table.c.hash == hashed, account.c.active == 1)
    )
    with journal.reading() as connection:
        row = connection.execute(query).first()
    if row is None or (row.expires_s is not None and row.expires_s <= now_s):
        return None
    if row.used_s is None or row.used_s < now_s - _USED_S:
        with journal.transaction() as connection:
            connection.execute(update(table).where(table.c.hash == hashed).values(used_s=now_s))
    return Found(people.account_of(row), tuple(row.scopes.split()), row.prefix)


def of(journal: Journal, account: str) -> list[Token]:
    """The tokens of an account, the latest first; also those that have run out."""
    table = schema.token
    with journal.reading() as connection:
        rows = connection.execute(select(table).where(table.c.account == account).order_by(table.c.created_s.desc()))
        return [_token(row) for row in rows]


def revoke(journal: Journal, id: str) -> bool:
    """End a token; whether there was one. Whoever asks has seen to it that it is theirs."""
    with journal.transaction() as connection:
        return bool(connection.execute(delete(schema.token).where(schema.token.c.hash == id)).rowcount)


def _token(row: Any) -> Token:
    # The hash will do as an id: nobody gets from it to the token.
    return Token(
        row.hash,
        row.prefix,
        row.account,
        row.name,
        tuple(row.scopes.split()),
        row.created_s,
        row.expires_s,
        row.used_s,
    )
