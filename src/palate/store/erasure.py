"""Forget a person: delete what they said, wrote and were shown, and keep a tombstone and a receipt.

Only this module may delete facts. It lifts the guards inside its own transaction, so nobody else ever sees them lifted.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, insert, or_, select

from palate.core.authors import WITHHELD
from palate.core.errors import ConfigError, DataError
from palate.core.pseudonyms import pseudonym
from palate.store import audit, findings, schema, settings, standing
from palate.store.journal import Journal
from palate.store.lookup import among, matching, stored

_CHUNK = 500
_ONE_BY_ONE = {"prompt": "id", "completion": "id", "comparison": "id", "slate": "id"} | {
    "judgement": "uid",
    "ranking": "uid",
    "written_answer": "uid",
    "feedback": "uid",
    "finding": "uid",
}
"""What leaves a tombstone for each row, and the column that is hashed."""


class Receipt(NamedTuple):
    """What was erased."""

    id: str
    """Names the receipt in the audit log and on its tombstones."""
    at: str
    deleted: dict[str, int]
    """Rows by table."""
    tombstones: int
    comparisons: tuple[str, ...]
    """Comparisons that are gone or lost a judgement: what was built from them is tainted."""
    completions: tuple[str, ...]
    """Completions that are gone."""


@dataclass(slots=True)
class _Doomed:
    """Ids of what has to go."""

    prompts: set[str] = field(default_factory=set)
    completions: set[str] = field(default_factory=set)
    comparisons: set[str] = field(default_factory=set)
    slates: set[str] = field(default_factory=set)


class _Who(NamedTuple):
    name: str
    """The pseudonym."""
    accounts: tuple[str, ...]
    emails: tuple[str, ...]


def forget(journal: Journal, person: str, *, actor: str = "") -> Receipt:
    """Erase a person: account, judgements, rankings, written answers, feedback, findings, chats with what was in them.

    A comparison that shows a text of theirs goes with all that others said of it. What they merely judged stays,
    without their judgement, and the queue asks somebody else. Nothing of it can be read from the file afterwards;
    backups, and on PostgreSQL the space until the next VACUUM, still hold it.

    Args:
        journal: The journal.
        person: A pseudonym, or the id or address of an account.
        actor: Who asked for it, for the audit log.

    Raises:
        DataError: nobody of this name is known.
    """
    key = settings.key(journal)
    with journal.transaction() as connection, _allowed(connection):
        who = _who(connection, person)
        theirs = schema.judgement.c.rater == who.name
        judged = set(connection.execute(select(schema.judgement.c.comparison).where(theirs)).scalars())
        holding = select(schema.lease.c.comparison).where(schema.lease.c.rater == who.name)
        held = set(connection.execute(holding).scalars())
        doomed = _doomed(connection, _texts_of(connection, who.name))
        eraser = _Eraser(connection, key)
        eraser.shown(doomed)
        for table, column in _BY_PERSON:
            eraser.delete(table, column == who.name)
        eraser.orphans()
        _close_accounts(eraser, who)
        standing.recount(connection, (judged | held) - doomed.comparisons, returned=True)
        receipt = eraser.receipt(judged | doomed.comparisons, doomed.completions)
        eraser.tombstone("person", [who.name])
        audit.note(connection, actor, "forgot", receipt.id, deleted=receipt.deleted)
    _leave_no_trace(journal)
    return receipt._replace(tombstones=receipt.tombstones + 1)


def expire(journal: Journal, days: float, *, actor: str = "") -> Receipt:
    """Erase what people did with a release more than `days` days ago, unless they agreed that it is kept.

    Agreed: the last word of the person on that chat was yes. Sessions and invitations that ran out go as well.

    Raises:
        ConfigError: `days` is not above 0.
    """
    if not days > 0:
        raise ConfigError("nothing would be kept", where="days", expected="days above 0", found=str(days))
    key = settings.key(journal)
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    with journal.transaction() as connection, _allowed(connection):
        exposure, feedback, now_s = schema.exposure, schema.feedback, time.time()
        kept = _agreed(connection)
        old = connection.execute(select(exposure).where(exposure.c.shown_at < before)).all()
        gone = [row for row in old if (row.person, row.chat) not in kept]
        seqs = {row.seq for row in gone}
        answers = {row.completion for row in gone}
        others = select(exposure.c.completion, exposure.c.seq)
        answers -= {
            r.completion for r in matching(connection, others, exposure.c.completion, answers) if r.seq not in seqs
        }
        doomed = _doomed(connection, answers)
        eraser = _Eraser(connection, key)
        eraser.shown(doomed)
        for start in range(0, len(gone), _CHUNK):
            eraser.delete(exposure, exposure.c.seq.in_([row.seq for row in gone[start : start + _CHUNK]]))
        chats = {row.chat for row in gone} - {chat for _, chat in kept}
        signals = select(feedback.c.uid, feedback.c.completion).where(feedback.c.created_at < before)
        theirs = matching(connection, signals, feedback.c.completion, {row.completion for row in gone})
        eraser.delete(feedback, among(connection, feedback.c.uid, {row.uid for row in theirs}))
        eraser.delete(schema.chat, among(connection, schema.chat.c.id, chats))
        eraser.orphans()
        eraser.delete(schema.session, schema.session.c.expires_s < now_s)
        eraser.delete(schema.invitation, schema.invitation.c.expires_s < now_s)
        receipt = eraser.receipt(doomed.comparisons, doomed.completions)
        audit.note(connection, actor, "expired", receipt.id, days=days, deleted=receipt.deleted)
    _leave_no_trace(journal)
    return receipt


def export_person(journal: Journal, person: str) -> dict[str, list[dict[str, Any]]]:
    """All that the journal holds about a person, by table, without secrets: what they may ask for.

    Raises:
        DataError: nobody of this name is known.
    """
    with journal.reading() as connection:
        who = _who(connection, person)
        found = {table.name: _rows(connection, table, column == who.name) for table, column in _BY_PERSON}
        accounts = _rows(connection, schema.account, among(connection, schema.account.c.id, who.accounts))
        found["account"] = [{name: value for name, value in row.items() if name != "password"} for row in accounts]
        done = among(connection, schema.audit.c.actor, who.accounts)
        found["audit"] = _rows(connection, schema.audit, done)
        texts = _texts_of(connection, who.name)
        found["completion"] = _rows(connection, schema.completion, among(connection, schema.completion.c.id, texts))
        prompts = {row["prompt"] for row in found["completion"]}
        found["prompt"] = _rows(connection, schema.prompt, among(connection, schema.prompt.c.id, prompts))
    return {name: rows for name, rows in found.items() if rows}


def erased(journal: Journal, kind: str, ids: Iterable[str]) -> set[str]:
    """Those of some ids that stood here once and were erased, so that an import does not bring them back.

    Args:
        journal: The journal.
        kind: `person`, or a table such as `completion` or `judgement`.
        ids: Pseudonyms, ids or uids.
    """
    key = settings.key(journal)
    hashes = {pseudonym(key, id, kind): id for id in ids}
    with journal.reading() as connection:
        return {hashes[found] for found in stored(connection, schema.tombstone.c.id_hash, hashes)}


class _Eraser:
    """Deletes, and keeps count."""

    def __init__(self, connection: Connection, key: bytes) -> None:
        self.connection = connection
        self.deleted: Counter[str] = Counter()
        self.tombstones = 0
        self._key = key
        self._at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._id = pseudonym(key, f"{self._at} {time.time_ns()}", "receipt")

    def delete(self, table: Table, which: ColumnElement[bool]) -> None:
        """Delete rows; those that can be recognised leave a tombstone."""
        if name := _ONE_BY_ONE.get(table.name):
            ids = list(self.connection.execute(select(table.c[name]).where(which)).scalars())
            self.tombstone(table.name, ids)
        gone = self.connection.execute(delete(table).where(which)).rowcount
        if gone:
            self.deleted[table.name] += gone

    def shown(self, doomed: _Doomed) -> None:
        """Delete texts and all that shows them, what depends on others first."""
        here = self.connection
        about = (schema.judgement, schema.lease, schema.task, schema.check_item, schema.voice, schema.draft)
        for table in (*about, schema.ai_opinion, schema.attachment, schema.assistance):
            self.delete(table, among(here, table.c.comparison, doomed.comparisons))
        self.delete(schema.comparison, among(here, schema.comparison.c.id, doomed.comparisons))
        self.delete(schema.ranking, among(here, schema.ranking.c.slate, doomed.slates))
        self.delete(schema.slate, among(here, schema.slate.c.id, doomed.slates))
        for table in (schema.feedback, schema.exposure, schema.finding):
            self.delete(table, among(here, table.c.completion, doomed.completions))
        self.delete(schema.written_answer, among(here, schema.written_answer.c.original, doomed.completions))
        self.delete(schema.written_answer, among(here, schema.written_answer.c.prompt, doomed.prompts))
        self.delete(schema.completion, among(here, schema.completion.c.id, doomed.completions))
        self.delete(schema.prompt, among(here, schema.prompt.c.id, doomed.prompts))

    def orphans(self) -> None:
        """Delete what followed from findings that are gone."""
        if gone := findings.drop_orphans(self.connection):
            self.deleted[schema.finding_step.name] += gone

    def tombstone(self, kind: str, ids: Iterable[str]) -> None:
        """Remember that these were here, in a form that tells nothing."""
        rows = [
            {"kind": kind, "id_hash": pseudonym(self._key, id, kind), "at": self._at, "receipt": self._id} for id in ids
        ]
        if rows:
            self.connection.execute(insert(schema.tombstone), rows)
        self.tombstones += len(rows)

    def receipt(self, comparisons: Iterable[str], completions: Iterable[str]) -> Receipt:
        """What was done."""
        gone = dict(sorted(self.deleted.items()))
        return Receipt(
            self._id, self._at, gone, self.tombstones, tuple(sorted(comparisons)), tuple(sorted(completions))
        )


def _who(connection: Connection, person: str) -> _Who:
    account = schema.account
    named = or_(account.c.id == person, account.c.rater == person, account.c.email == person.strip().lower())
    found = connection.execute(select(account).where(named)).all() if person else []
    # A program's account has no pseudonym; it can be named by its id alone.
    name = next((row.rater for row in found if row.rater), person)
    known = bool(found) or any(
        connection.execute(select(column).where(column == name).limit(1)).first() for _, column in _BY_PERSON
    )
    if not known:
        raise DataError(
            "nobody of this name is known",
            expected="a pseudonym, or the id or address of an account",
            found=repr(person),
        )
    return _Who(name, tuple(row.id for row in found), tuple(row.email for row in found if row.email))


def _texts_of(connection: Connection, name: str) -> set[str]:
    """Completions that a person wrote, or that were made for them and shown to nobody else."""
    completion, exposure = schema.completion, schema.exposure.alias("theirs")
    other = schema.exposure.alias("other")
    wrote = select(completion.c.id).where(completion.c.policy == f"person:{name}")
    alone = select(exposure.c.completion).where(
        exposure.c.person == name,
        ~exists().where(other.c.completion == exposure.c.completion, other.c.person != name),
    )
    return set(connection.execute(wrote).scalars()) | set(connection.execute(alone).scalars())


def _doomed(connection: Connection, completions: set[str]) -> _Doomed:
    """Some completions, the prompts that have no other, and all that shows one of them."""
    completion, comparison, slate = schema.completion, schema.comparison, schema.slate
    found = _Doomed(completions=completions)
    asked = matching(connection, select(completion.c.prompt), completion.c.id, completions)
    prompts = {row.prompt for row in asked}
    columns = select(completion.c.id, completion.c.prompt, completion.c.policy)
    rest = [row for row in matching(connection, columns, completion.c.prompt, prompts) if row.id not in completions]
    # What was withheld from them was shown to nobody, and goes with what they asked.
    unseen = [row for row in rest if row.policy.startswith(WITHHELD)]
    found.prompts = prompts - {row.prompt for row in rest if row not in unseen}
    completions |= {row.id for row in unseen if row.prompt in found.prompts}
    shown = select(comparison.c.id, comparison.c.first, comparison.c.second)
    pairs = matching(connection, shown, comparison.c.prompt, prompts)
    found.comparisons = {row.id for row in pairs if {row.first, row.second} & completions}
    lists = matching(connection, select(slate.c.id, slate.c.completions), slate.c.prompt, prompts)
    found.slates = {row.id for row in lists if set(json.loads(row.completions)) & completions}
    return found


def _agreed(connection: Connection) -> set[tuple[str, str]]:
    """Persons and chats whose last word was yes."""
    last = {
        (row.person, row.chat): row.given
        for row in connection.execute(select(schema.consent).order_by(schema.consent.c.seq))
    }
    return {which for which, given in last.items() if given}


def _close_accounts(eraser: _Eraser, who: _Who) -> None:
    here = eraser.connection
    for table in (schema.session, schema.token):
        eraser.delete(table, among(here, table.c.account, who.accounts))
    invitation = schema.invitation
    eraser.delete(invitation, and_(invitation.c.email != "", among(here, invitation.c.email, who.emails)))
    eraser.delete(invitation, among(here, invitation.c.account, who.accounts))
    eraser.delete(schema.account, among(here, schema.account.c.id, who.accounts))


def _rows(connection: Connection, table: Table, which: ColumnElement[bool]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table).where(which)).mappings()]


@contextmanager
def _allowed(connection: Connection) -> Iterator[None]:
    """Lift the guards against deletion for this transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL {schema.guards.FORGETTING} = 'on'")
        yield
        return
    # What is deleted is overwritten, too.
    connection.exec_driver_sql("PRAGMA secure_delete = ON")
    names = [f"{table}_no_delete" for table in schema.APPEND_ONLY]
    for name in names:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for name in names:
        connection.exec_driver_sql(schema.PARTS[name])


def _leave_no_trace(journal: Journal) -> None:
    """Empty SQLite's log, in which the old pages still stand. Whoever reads at that moment keeps it for a while."""
    if journal.dialect == "sqlite":
        with journal.engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]


_BY_PERSON: tuple[tuple[Table, Any], ...] = (
    (schema.judgement, schema.judgement.c.rater),
    (schema.ranking, schema.ranking.c.rater),
    (schema.written_answer, schema.written_answer.c.rater),
    (schema.onboarding_pass, schema.onboarding_pass.c.rater),
    (schema.feedback, schema.feedback.c.person),
    (schema.finding, schema.finding.c.found_by),
    (schema.exposure, schema.exposure.c.person),
    (schema.consent, schema.consent.c.person),
    (schema.assignment, schema.assignment.c.person),
    (schema.chat, schema.chat.c.person),
    (schema.draft, schema.draft.c.rater),
    (schema.lease, schema.lease.c.rater),
    (schema.position, schema.position.c.rater),
    (schema.profile, schema.profile.c.rater),
    (schema.ai_opinion, schema.ai_opinion.c.judge),
    (schema.assistance, schema.assistance.c.rater),
    (schema.attachment, schema.attachment.c.helper),
    (schema.ai_judge, schema.ai_judge.c.id),
    (schema.rater, schema.rater.c.id),
)
"""Where a person's rows are; those that others refer to come last."""
