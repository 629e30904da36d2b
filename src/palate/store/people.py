"""Accounts: who may come in, as whom, and under which pseudonym they judge.

A password is kept as an Argon2id hash, an invitation as the SHA-256 of its secret. Name and address stand in the
account alone; everything that a person does bears their pseudonym.
"""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from palate.core.errors import ConfigError, DataError
from palate.core.pseudonyms import pseudonym
from palate.core.records import Rater
from palate.store import leases, rows, schema, settings
from palate.store.hashes import secret_hash
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time

ROLES = ("owner", "lead", "rater", "app")
LEAST_PASSWORD = 10
"""Characters."""
MOST_PASSWORD = 1024
_HASHER = PasswordHasher()


class Account(NamedTuple):
    """Someone, or a program, who may come in."""

    id: str
    name: str
    email: str
    """In small letters; "" for programs."""
    role: str
    """See `ROLES`."""
    rater: str
    """The pseudonym under which they judge; "" for programs."""
    active: bool
    created_at: str
    has_password: bool


class Invitation(NamedTuple):
    """A link that makes an account, or lets its person choose a new password."""

    role: str
    email: str
    """The only address it works for; "" for any."""
    inviter: str
    account: str
    """Of whom a new password is wanted; "" for someone new."""
    expires_s: float


def create_account(journal: Journal, *, name: str, email: str = "", role: str, password: str = "") -> Account:
    """Make an account. People get a rater of their own.

    Raises:
        ConfigError: the role is none, or the password is too short; without an address only a program may be made.
        DataError: the address has an account already.
    """
    if role not in ROLES:
        raise ConfigError(
            "an account has a role that Palate does not know", expected=", ".join(ROLES), found=repr(role)
        )
    email = _address(email)
    if role != "app" and "@" not in email:
        raise ConfigError("a person's account has no address", where="email", expected="name@host", found=repr(email))
    hashed = _hash(password) if password else ""
    id = uuid.uuid4().hex
    rater = "" if role == "app" else pseudonym(settings.key(journal), id, "r")
    if rater:
        rows.add_raters(journal, [Rater(rater)])
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    table = schema.account
    with journal.transaction() as connection:
        one_at_a_time(connection, "account")
        if email and connection.execute(select(table.c.id).where(table.c.email == email)).first():
            raise DataError("this address has an account already", where=email, hint="log in, or reset the password")
        row = {"id": id, "name": name, "email": email, "password": hashed, "role": role, "rater": rater}
        connection.execute(insert(table), {**row, "active": 1, "created_at": now})
    return Account(id, name, email, role, rater, True, now, bool(hashed))


def verify(journal: Journal, email: str, password: str) -> Account | None:
    """The account of an address and its password; None if they do not belong together, or it is not active.

    It takes as long for an address that is unknown.
    """
    table = schema.account
    with journal.reading() as connection:
        row = connection.execute(select(table).where(table.c.email == _address(email), table.c.email != "")).first()
    hashed = row.password if row is not None and row.password else _nobody()
    try:
        _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return None
    if row is None or not row.password or not row.active:
        return None
    if _HASHER.check_needs_rehash(row.password):
        set_password(journal, row.id, password)
    return account_of(row)


def find(journal: Journal, id: str) -> Account | None:
    """The account of an id."""
    with journal.reading() as connection:
        row = connection.execute(select(schema.account).where(schema.account.c.id == id)).first()
    return None if row is None else account_of(row)


def accounts(journal: Journal) -> list[Account]:
    """Every account, the oldest first."""
    table = schema.account
    with journal.reading() as connection:
        return [account_of(row) for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id))]


def owner_exists(journal: Journal) -> bool:
    """Whether an active owner has a password."""
    with journal.reading() as connection:
        return bool(_owners(connection))


def rename(journal: Journal, id: str, name: str) -> None:
    """Give an account another name.

    Raises:
        DataError: there is no such account.
    """
    _change(journal, id, name=name)


def set_password(journal: Journal, id: str, password: str) -> None:
    """Set a password. Sessions stay; see `sessions.close_all`.

    Raises:
        ConfigError: it is too short, or endless.
        DataError: there is no such account.
    """
    _change(journal, id, password=_hash(password))


def set_role(journal: Journal, id: str, role: str) -> None:
    """Change what an account may do.

    Raises:
        ConfigError: the role is none.
        DataError: there is no such account, or it is the last owner's.
    """
    if role not in ROLES:
        raise ConfigError(
            "an account has a role that Palate does not know", expected=", ".join(ROLES), found=repr(role)
        )
    _change(journal, id, role=role)


def deactivate(journal: Journal, id: str) -> None:
    """Let nobody in by this account any more: its sessions and tokens end, and what it holds goes back.

    Raises:
        DataError: there is no such account, or it is the last owner's.
    """
    _change(journal, id, active=0)
    with journal.transaction() as connection:
        for table in (schema.session, schema.token):
            connection.execute(delete(table).where(table.c.account == id))
    found = find(journal, id)
    if found is not None and found.rater:
        leases.release(journal, found.rater)


def activate(journal: Journal, id: str) -> None:
    """Let the account in again.

    Raises:
        DataError: there is no such account.
    """
    _change(journal, id, active=1)


def invite(journal: Journal, role: str, *, email: str = "", inviter: str = "", hours: float = 72.0) -> str:
    """Make an invitation; its secret, which is shown once.

    Args:
        journal: The journal.
        role: Of the account that it makes.
        email: The only address that it is for, if any.
        inviter: Id of the account of who invites.
        hours: So long it is good.

    Raises:
        ConfigError: the role is none that a person has.
    """
    if role not in ROLES[:3]:
        expected = ", ".join(ROLES[:3])
        raise ConfigError("an invitation is for a role that no person has", expected=expected, found=repr(role))
    return _invite(journal, role=role, email=_address(email), inviter=inviter, account="", hours=hours)


def invite_reset(journal: Journal, account: str, *, inviter: str = "", hours: float = 24.0) -> str:
    """Make a link by which an account gets a new password; its secret, which is shown once.

    Raises:
        DataError: there is no such account.
    """
    found = find(journal, account)
    if found is None:
        raise DataError("there is no such account", where=f"account {account!r}", expected="the id of an account")
    return _invite(journal, role=found.role, email=found.email, inviter=inviter, account=account, hours=hours)


def invitation(journal: Journal, secret: str) -> Invitation | None:
    """The invitation of a secret; None if there is none, or it was used or has run out."""
    with journal.reading() as connection:
        return _invitation(connection, secret)


def accept(journal: Journal, secret: str, *, name: str = "", email: str = "", password: str) -> Account:
    """Use an invitation, once: make the account, or set the new password and close its sessions.

    Raises:
        DataError: the invitation is no longer good, is for another address, or the address has an account.
        ConfigError: the password is too short, or there is no address.
    """
    _hash_checks(password)
    with journal.transaction() as connection:
        one_at_a_time(connection, "invitation")
        found = _invitation(connection, secret)
        if found is None:
            raise DataError("an invitation is no longer good", expected="one that is new", hint="ask for another one")
        if found.email and email and _address(email) != found.email:
            raise DataError("an invitation is for another address", expected=found.email, found=_address(email))
        spent = update(schema.invitation).where(schema.invitation.c.hash == secret_hash(secret))
        connection.execute(spent.values(used_s=time.time()))
    try:
        if found.account:
            set_password(journal, found.account, password)
            with journal.transaction() as connection:
                connection.execute(delete(schema.session).where(schema.session.c.account == found.account))
            made = find(journal, found.account)
            if made is None or not made.active:
                raise DataError("an invitation is for an account that is closed", where=found.account)
            return made
        return create_account(journal, name=name, email=found.email or email, role=found.role, password=password)
    except Exception:
        # Whoever mistyped may try again.
        with journal.transaction() as connection:
            connection.execute(spent.values(used_s=None))
        raise


def account_of(row: Any) -> Account:
    """A row of `account` as a record, without the password."""
    return Account(
        row.id, row.name, row.email, row.role, row.rater, bool(row.active), row.created_at, bool(row.password)
    )


def _invite(journal: Journal, *, hours: float, **values: str) -> str:
    secret, now_s = secrets.token_urlsafe(32), time.time()
    row = {**values, "hash": secret_hash(secret), "created_s": now_s, "expires_s": now_s + hours * 3600}
    with journal.transaction() as connection:
        connection.execute(insert(schema.invitation), {**row, "used_s": None})
    return secret


def _change(journal: Journal, id: str, **values: Any) -> None:
    table = schema.account
    with journal.transaction() as connection:
        one_at_a_time(connection, "account")
        owners = _owners(connection)
        if not connection.execute(update(table).where(table.c.id == id).values(**values)).rowcount:
            raise DataError("there is no such account", where=f"account {id!r}", expected="the id of an account")
        if owners and not _owners(connection):
            raise DataError(
                "a project would be without an owner",
                where=f"account {id}",
                expected="another active owner with a password",
                hint="make somebody else owner first",
            )


def _owners(connection: Connection) -> int:
    table = schema.account
    query = select(func.count()).where(table.c.role == "owner", table.c.active == 1, table.c.password != "")
    return int(connection.execute(query).scalar_one())


def _invitation(connection: Connection, secret: str) -> Invitation | None:
    table = schema.invitation
    query = select(table).where(
        table.c.hash == secret_hash(secret), table.c.used_s.is_(None), table.c.expires_s > time.time()
    )
    row = connection.execute(query).first()
    return None if row is None else Invitation(row.role, row.email, row.inviter, row.account, row.expires_s)


def _address(email: str) -> str:
    return email.strip().lower()


def _hash_checks(password: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise ConfigError(
            "a password has the wrong length",
            expected=f"{LEAST_PASSWORD} to {MOST_PASSWORD} characters",
            found=f"{len(password)}",
        )


def _hash(password: str) -> str:
    _hash_checks(password)
    return _HASHER.hash(password)


@cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_hex(16))
