"""How far each comparison of the queue has come, kept in its task in the transaction that changes it.

The counters are always written from what judgements and leases say, never added to, so that they cannot drift.
Locks are taken in one order, on PostgreSQL: raters' positions, leases, tasks by comparison, and the counter last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, literal, null, select, text, union_all, update

from palate.core.records import Verdict
from palate.store import schema
from palate.store.lookup import AMONG, few, filled, matching

OPENED = "opened"
_BATCH = 5000
_APART = ("repeat", "check", "onboarding", "model")
"""Kinds of judgements that are no vote of a person: they measure the rater, or the rater is a model."""


class Vote(NamedTuple):
    """What one rater says of a comparison at last."""

    verdict: str
    task: str


class Standing(NamedTuple):
    """Where a comparison stands."""

    kind: str
    state: str
    slots: int
    done: int
    held: int


def standing(wanted: int, adaptive: bool, votes: Sequence[Vote], held: int) -> Standing:
    """Where a comparison stands.

    Args:
        wanted: So many raters judge it at first.
        adaptive: One more is asked where they have no majority, and then, at last, an adjudicator.
        votes: Of each rater one; a skip is none.
        held: So many are at work on it.
    """
    done, kind, slots = len(votes), "normal", wanted
    if adaptive and wanted > 1 and done >= wanted and not any(vote.task == "adjudication" for vote in votes):
        split = [not _majority([vote.verdict for vote in votes[:number]]) for number in (wanted, wanted + 1)]
        if split[0]:
            slots = wanted + 1
        if done > wanted and split[1]:
            slots, kind = wanted + 2, "adjudication"
    state = "closed" if done >= slots else "open" if done + held < slots else "waiting"
    return Standing(kind, state, slots, done, held)


def recount(connection: Connection, comparisons: Iterable[str], *, returned: bool = False) -> None:
    """Bring the tasks of some comparisons up to date; comparisons without a task are passed over.

    Args:
        connection: In a write transaction, which changed judgements or leases of the comparisons.
        comparisons: Ids.
        returned: A lease on them ended without a judgement, so whoever held it may be asked again.
    """
    table = schema.task
    which = set(comparisons)
    if not which:
        return
    tasks = few(connection, _TASKS, table.c.comparison, which)
    if not tasks:
        return
    votes, held = _seen(connection, {task.comparison: task.since for task in tasks})
    changes = []
    for task in tasks:
        now = standing(task.wanted, bool(task.adaptive), votes[task.comparison], held[task.comparison])
        before = Standing(task.kind, task.state, task.slots, task.done, task.held)
        back = now.state == "open" and (returned or before.state != "open" or before.kind != now.kind)
        if now != before or back:
            changes.append((task.comparison, now, task.opened, back))
    last = opened(connection, sum(back for *_, back in changes)) if any(back for *_, back in changes) else 0
    rows = []
    for comparison, now, since, back in changes:
        rows.append({"of": comparison, **now._asdict(), "opened": last if back else since})
        last -= back
    if rows:
        connection.execute(_UPDATE, rows)


def drifted(connection: Connection) -> list[str]:
    """Comparisons whose task does not say what judgements and leases say: there should be none."""
    table, found = schema.task, []
    ids = list(connection.execute(select(table.c.comparison).where(table.c.kind != "check")).scalars())
    for start in range(0, len(ids), _BATCH):
        tasks = matching(connection, select(table), table.c.comparison, ids[start : start + _BATCH])
        votes, held = _seen(connection, {task.comparison: task.since for task in tasks})
        for task in tasks:
            now = standing(task.wanted, bool(task.adaptive), votes[task.comparison], held[task.comparison])
            if now != Standing(task.kind, task.state, task.slots, task.done, task.held):
                found.append(task.comparison)
    return sorted(found)


def opened(connection: Connection, count: int = 0) -> int:
    """The number of times that a task came into the queue or back, after `count` more of them.

    Numbers are given out one transaction after the other, so whoever sees one sees all below it.
    """
    if not count:
        table = schema.counter
        return connection.execute(select(table.c.value).where(table.c.name == OPENED)).scalar() or 0
    return int(connection.execute(_COUNT, {"name": OPENED, "more": count}).scalar_one())


def _seen(connection: Connection, since: dict[str, int]) -> tuple[dict[str, list[Vote]], Counter[str]]:
    """Of each comparison the votes after number `since`, and how many are at work on it."""
    last: dict[str, dict[str, Vote]] = defaultdict(dict)
    held: Counter[str] = Counter()
    for row in filled(connection, _SEEN, since):
        if row.verdict is None:
            held[row.comparison] += 1
        elif row.seq > since[row.comparison]:
            # A rater counts where they came first, by what they said last.
            last[row.comparison][row.rater] = Vote(row.verdict, row.task)
    votes = {
        comparison: [vote for vote in last[comparison].values() if vote.verdict != Verdict.SKIP] for comparison in since
    }
    return votes, held


def _majority(verdicts: Sequence[str]) -> bool:
    return bool(verdicts) and 2 * max(Counter(verdicts).values()) > len(verdicts)


_TASKS = select(schema.task).where(schema.task.c.kind != "check").order_by(schema.task.c.comparison).with_for_update()
_SAID, _AT_WORK = schema.judgement.c, schema.lease.c
_SEEN = union_all(
    select(_SAID.comparison, _SAID.rater, _SAID.verdict, _SAID.task, _SAID.seq).where(
        _SAID.task.not_in(_APART), _SAID.comparison.in_(AMONG)
    ),
    select(_AT_WORK.comparison, _AT_WORK.rater, null(), _AT_WORK.kind, literal(0)).where(
        schema.HELD, _AT_WORK.kind.not_in(_APART), _AT_WORK.comparison.in_(AMONG)
    ),
).order_by("seq")
"""In one statement, so that both are of one moment."""
_UPDATE = (
    update(schema.task)
    .where(schema.task.c.comparison == bindparam("of"))
    .values({name: bindparam(name) for name in (*Standing._fields, "opened")})
)
_COUNT = text(
    "INSERT INTO counter (name, value) VALUES (:name, :more) "
    "ON CONFLICT (name) DO UPDATE SET value = counter.value + :more RETURNING value"
)
