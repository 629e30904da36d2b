"""Forget a person: delete what they said, wrote and were shown, and keep a tombstone and a receipt.

Only this module may delete facts. It lifts the guards inside its own transaction, so nobody else ever sees them lifted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select

from palate.core.errors import ConfigError
from palate.core.ids import content_id
from palate.core.pseudonyms import pseudonym
from palate.store import audit, findings, schema, settings, standing
from palate.store.journal import Journal
from palate.store.lookup import among, matching, stored
from palate.store.marks import Marks, gather
from palate.store.marks import standing as standing_answers
from palate.store.scouring import scour
from palate.store.traces import Traces
from palate.store.unnaming import unname
from palate.store.whose import BY_PERSON, Doomed, Who, texts_of, who_is
from palate.store.whose import doomed as doomed_with
from palate.store.whose import export_person as export_person

_CHUNK = 500
_ONE_BY_ONE = {"prompt": "id", "completion": "id", "comparison": "id", "slate": "id"} | {
    "judgement": "uid",
    "ranking": "uid",
    "written_answer": "uid",
    "feedback": "uid",
    "finding": "uid",
}
"""What leaves a tombstone for each row, and the column that is hashed."""


ANSWER: Final = "answer"
"""The kind of the tombstones of answers, see `answer_id`."""


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
    renamed: dict[str, int]
    """Rows that stay and named the person, by table."""
    left: tuple[str, ...] = ()
    """What could not be overwritten yet, in words."""


def forget(journal: Journal, person: str, *, actor: str = "") -> Receipt:
    """Erase a person: account, judgements, rankings, written answers, feedback, findings, chats with what was in them.

    A comparison that shows a text of theirs goes with all that others said of it. What they merely judged stays,
    without their judgement, and the queue asks somebody else. What they did as a lead stays under a name that says
    nothing. Nothing of it can be read from the database's files afterwards; of backups and of what was made from it,
    `palate.rounds.forgetting` takes care.

    Args:
        journal: The journal.
        person: A pseudonym, or the id or address of an account.
        actor: Who asked for it, for the audit log.

    Raises:
        DataError: nobody of this name is known.
    """
    key = settings.key(journal)
    with journal.transaction() as connection, _allowed(connection):
        who = who_is(connection, person)
        theirs = schema.judgement.c.rater == who.name
        judged = set(connection.execute(select(schema.judgement.c.comparison).where(theirs)).scalars())
        holding = select(schema.lease.c.comparison).where(schema.lease.c.rater == who.name)
        held = set(connection.execute(holding).scalars())
        doomed = doomed_with(connection, texts_of(connection, who.name))
        marks = gather(connection, who, doomed)
        eraser = _Eraser(connection, key, _receipt_id(connection, key, who))
        eraser.shown(doomed)
        for table, column in BY_PERSON:
            eraser.delete(table, column == who.name)
        eraser.orphans()
        _close_accounts(eraser, who)
        standing.recount(connection, (judged | held) - doomed.comparisons, returned=True)
        eraser.tombstone("person", [who.name])
        answers = marks.answers - standing_answers(connection, marks.answers)
        eraser.tombstone(ANSWER, sorted(answer_id(*one) for one in answers))
        receipt = eraser.receipt(judged | doomed.comparisons, doomed.completions)
        renamed = unname(connection, Traces(marks), pseudonym(key, who.name, "gone"))
        audit.note(connection, actor, "forgot", receipt.id, deleted=receipt.deleted)
    return receipt._replace(renamed=renamed, left=scour(journal))


class Known(NamedTuple):
    """Who is to be forgotten."""

    name: str
    """The pseudonym."""
    receipt: str
    """The id that the receipt will have."""
    marks: Marks


def known(journal: Journal, person: str) -> Known:
    """The person, and what their rows and words can be recognised by; nothing is touched.

    Raises:
        DataError: nobody of this name is known.
    """
    key = settings.key(journal)
    with journal.reading() as connection:
        who = who_is(connection, person)
        doomed = doomed_with(connection, texts_of(connection, who.name))
        return Known(who.name, _receipt_id(connection, key, who), gather(connection, who, doomed))


def answer_id(prompt: str, text: str) -> str:
    """By which an answer is recognised where nothing tells who gave it, as in a dataset of demonstrations.

    Args:
        prompt: Id.
        text: Of the answer.
    """
    return content_id(ANSWER, [prompt, text])


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
        doomed = doomed_with(connection, answers)
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
    return receipt._replace(left=scour(journal)) if receipt.deleted else receipt


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

    def __init__(self, connection: Connection, key: bytes, id: str = "") -> None:
        self.connection = connection
        self.deleted: Counter[str] = Counter()
        self.tombstones = 0
        self._key = key
        self._at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._id = id or pseudonym(key, f"{self._at} {time.time_ns()}", "receipt")

    def delete(self, table: Table, which: ColumnElement[bool]) -> None:
        """Delete rows; those that can be recognised leave a tombstone."""
        if name := _ONE_BY_ONE.get(table.name):
            ids = list(self.connection.execute(select(table.c[name]).where(which)).scalars())
            self.tombstone(table.name, ids)
        gone = self.connection.execute(delete(table).where(which)).rowcount
        if gone:
            self.deleted[table.name] += gone

    def shown(self, doomed: Doomed) -> None:
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
        told = (tuple(sorted(comparisons)), tuple(sorted(completions)))
        return Receipt(self._id, self._at, gone, self.tombstones, *told, renamed={})


def _receipt_id(connection: Connection, key: bytes, who: Who) -> str:
    """The same until the person is gone, so that an erasure which was cut off goes on as the same one."""
    table = schema.tombstone
    gone = select(func.count()).where(table.c.kind == "person", table.c.id_hash == pseudonym(key, who.name, "person"))
    return pseudonym(key, f"{who.name} {connection.execute(gone).scalar_one()}", "receipt")


def _agreed(connection: Connection) -> set[tuple[str, str]]:
    """Persons and chats whose last word was yes."""
    last = {
        (row.person, row.chat): row.given
        for row in connection.execute(select(schema.consent).order_by(schema.consent.c.seq))
    }
    return {which for which, given in last.items() if given}


def _close_accounts(eraser: _Eraser, who: Who) -> None:
    here = eraser.connection
    for table in (schema.session, schema.token):
        eraser.delete(table, among(here, table.c.account, who.accounts))
    invitation = schema.invitation
    eraser.delete(invitation, and_(invitation.c.email != "", among(here, invitation.c.email, who.emails)))
    eraser.delete(invitation, among(here, invitation.c.account, who.accounts))
    eraser.delete(schema.account, among(here, schema.account.c.id, who.accounts))


@contextmanager
def _allowed(connection: Connection) -> Iterator[None]:
    """Lift the guards against deletion and change for this transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL {schema.guards.FORGETTING} = 'on'")
        yield
        return
    # What is deleted is overwritten, too.
    connection.exec_driver_sql("PRAGMA secure_delete = ON")
    names = [f"{table}_no_{verb}" for table in schema.APPEND_ONLY for verb in ("delete", "update")]
    for name in names:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for name in names:
        connection.exec_driver_sql(schema.PARTS[name])
