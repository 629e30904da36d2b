"""Releases: policies that may be served, and the names that they have at present."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, select

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.store import audit, schema
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time, require

STABLE, CANDIDATE, CANARY = "stable", "candidate", "canary"
ALIASES: Final = (STABLE, CANDIDATE, CANARY)
"""Names that Palate itself gives; any other word of letters, digits and hyphens will do too."""
_WORD = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Release(NamedTuple):
    """A policy that may be served."""

    id: str
    policy: str
    """Id of its artefact."""
    guardrails: str
    """Id of their version, "" for none."""
    round: str
    """Id of the round that made it, "" for none."""
    gate: str
    """Id of the artefact that says what it passed."""
    why: str
    """Reason of whoever released it though it did not pass, or without a gate."""
    card: str
    """Id of the model card's artefact."""
    actor: str
    at: str
    """UTC, ISO 8601."""


class Named(NamedTuple):
    """A name was given, or with the release "" taken away."""

    alias: str
    release: str
    why: str
    actor: str
    at: str


def add(
    journal: Journal, policy: str, *, guardrails: str = "", round_: str = "", gate: str = "", why: str = "",
    card: str = "", actor: str = "",
) -> Release:  # fmt: skip
    """Register a policy. The same policy under the same guardrails is the same release, and stays as it was.

    Args:
        journal: The journal.
        policy: Id of an artefact.
        guardrails: Id of their version.
        round_: Id of the round that made it.
        gate: Id of the artefact that says what it passed.
        why: Reason of whoever released it all the same; it goes to the audit log too.
        card: Id of the model card's artefact.
        actor: Who did it.
    """
    table = schema.release
    id = content_id("release", [policy, guardrails])
    made = Release(id, policy, guardrails, round_, gate, why, card, actor, _now())
    with journal.transaction() as connection:
        one_at_a_time(connection, "release")
        earlier = connection.execute(select(table).where(table.c.id == id)).first()
        if earlier is not None:
            return _release(earlier)
        connection.execute(insert(table), made._asdict())
        audit.note(connection, actor, "released", id, policy=policy, why=why)
    return made


def every(journal: Journal) -> list[Release]:
    """All releases, the first one first."""
    with journal.reading() as connection:
        return [_release(row) for row in connection.execute(select(schema.release).order_by(schema.release.c.seq))]


def get(journal: Journal, named: str) -> Release:
    """The release of this id, alias or policy.

    Raises:
        DataError: there is none.
    """
    found = every(journal)
    id = aliases(journal).get(named, named)
    for one in reversed(found):
        if id in (one.id, one.policy):
            return one
    here = [*aliases(journal), *(one.id for one in found)]
    raise DataError("there is no such release", expected=", ".join(here) or "a release", found=repr(named))


def point(journal: Journal, alias: str, release: str, *, why: str = "", actor: str = "") -> None:
    """Give a name to a release, or with "" take it away.

    Raises:
        DataError: the name is none, or there is no such release.
    """
    if not _WORD.fullmatch(alias):
        raise DataError(
            "this cannot be a release's name", expected="small letters, digits and hyphens, a letter first",
            found=repr(alias),
        )  # fmt: skip
    with journal.transaction() as connection:
        if release:
            require(connection, schema.release.c.id, [release], who="aliases")
        row = Named(alias, release, why, actor, _now())._asdict()
        connection.execute(insert(schema.release_alias), row)
        audit.note(connection, actor, "named a release", release, alias=alias, why=why)


def aliases(journal: Journal) -> dict[str, str]:
    """Names that are in force, and the ids of their releases."""
    last = {one.alias: one.release for one in history(journal)}
    return {alias: release for alias, release in last.items() if release}


def moved(journal: Journal) -> int:
    """A number that grows whenever a name is given or taken away; cheap to ask for."""
    with journal.reading() as connection:
        return connection.execute(select(func.max(schema.release_alias.c.seq))).scalar() or 0


def history(journal: Journal, alias: str = "") -> list[Named]:
    """What names were given, of one alias or of all, the oldest first."""
    table = schema.release_alias
    query = select(table).order_by(table.c.seq)
    if alias:
        query = query.where(table.c.alias == alias)
    with journal.reading() as connection:
        return [Named(row.alias, row.release, row.why, row.actor, row.at) for row in connection.execute(query)]


def _release(row: Any) -> Release:
    return Release(*(getattr(row, name) for name in Release._fields))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
