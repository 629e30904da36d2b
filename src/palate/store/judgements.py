"""Judgements: written once, acknowledged when they are safe, read back in order."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from palate.core.errors import DataError
from palate.core.records import Judgement, Verdict
from palate.store import leases, schema
from palate.store.journal import Journal
from palate.store.lookup import matching, one_at_a_time, stored
from palate.store.standing import recount
from palate.store.tasks import Grant, Task, lend

_KNOWN = select(schema.judgement).where(schema.judgement.c.uid == bindparam("uid"))
_NEW = {
    name: insert(schema.judgement).on_conflict_do_nothing(index_elements=["uid"])
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
"""By dialect."""
_VERDICTS = {verdict.value: verdict for verdict in Verdict}

# Not `judged_at`: who sends a judgement again may stamp it again, and the first stamp stays.
_CONTENT = (
    "comparison",
    "rater",
    "verdict",
    "strength",
    "reasons",
    "note",
    "guideline",
    "seconds",
    "supersedes",
    "swapped",
    "task",
)


def judge(journal: Journal, judgements: Sequence[Judgement]) -> int:
    """Store judgements in one transaction; when this returns, they survive a crash.

    Sending a judgement again changes nothing. Leases of its rater on its comparison are closed. A rater
    who judges a comparison again without `supersedes` is stored as well, and still has one vote: their
    last, see `palate.preferences.voices`.

    Returns:
        How many were new.

    Raises:
        DataError: a comparison or rater is unknown, a uid is empty or was used for something else,
            `seconds` is no length of time, or a judgement supersedes one of another rater or
            comparison, or one that is superseded already. Nothing is stored then.
    """
    if not judgements:
        return 0
    with journal.transaction() as connection:
        one_at_a_time(connection, "judge")
        rows = fresh(connection, judgements)
        if rows:
            connection.execute(insert(schema.judgement), rows)
        settle(connection, judgements)
    return len(rows)


def fresh(connection: Connection, judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """The rows of those that are not stored yet, after all were looked at; see `judge` for what is refused."""
    table = schema.judgement
    superseded = {j.supersedes for j in judgements if j.supersedes}
    uids = {j.uid for j in judgements} | superseded
    known = {row.uid: dict(row._mapping) for row in matching(connection, select(table), table.c.uid, uids)}
    later = select(table.c.supersedes, table.c.uid).where(table.c.supersedes != "")
    heirs = {row.supersedes: row.uid for row in matching(connection, later, table.c.supersedes, superseded)}
    comparisons = stored(connection, schema.comparison.c.id, {j.comparison for j in judgements})
    raters = stored(connection, schema.rater.c.id, {j.rater for j in judgements})
    found: dict[str, dict[str, Any]] = {}
    for j in judgements:
        row = _row(j)
        earlier = known.get(j.uid) or found.get(j.uid)
        if earlier is not None:
            _same(j, row, earlier)
            continue
        _check(j, comparisons, raters)
        if j.supersedes:
            _check_correction(j, known.get(j.supersedes) or found.get(j.supersedes), heirs.get(j.supersedes))
            heirs[j.supersedes] = j.uid
        found[j.uid] = row
    return list(found.values())


def settle(connection: Connection, judgements: Sequence[Judgement]) -> None:
    """Close the leases of what was judged, and bring its tasks up to date."""
    leases.close(connection, [(j.comparison, j.rater) for j in judgements])
    recount(connection, {j.comparison for j in judgements})


def submit(journal: Journal, judgement: Judgement | Callable[[bool], Judgement], *, lease: str) -> Judgement:
    """Store the judgement of a task that its rater holds; when this returns, it survives a crash.

    Which side was shown where, and of which kind the task was, is taken from the lease. Sending a judgement
    again gives back what is stored. One that corrects an `undo` supersedes it.

    Args:
        journal: The journal.
        judgement: Of the comparison as it was given; or what makes it from whether `second` was shown first.
        lease: `uid` of the task that was taken. A lease that ran out will do as long as nobody else was asked.

    Raises:
        LeaseLost: the lease is not this rater's, is for another comparison, or ran out and others were asked.
        DataError: as `judge`.
    """
    made = (lambda _: judgement) if isinstance(judgement, Judgement) else judgement
    with journal.transaction() as connection:
        # Locked, so that of two who send the same judgement at once the later one finds it stored.
        held = leases.find(connection, lease)
        if held is None and (stored := _stored(connection, made)):
            return stored
        said = made(bool(held is not None and held.swapped))
        leases.check(connection, held, lease, said)
        said = replace(said, swapped=bool(held.swapped), task=held.kind, supersedes=said.supersedes or held.undone)
        _check(said, {said.comparison}, {said.rater})
        if said.supersedes:
            old, heir = _before(connection, said.supersedes)
            _check_correction(said, old, heir)
        if not connection.execute(_NEW[journal.dialect], _row(said)).rowcount and (stored := _stored(connection, made)):
            return stored
        leases.close(connection, [(said.comparison, said.rater)])
        recount(connection, [said.comparison])
    return said


def undo(journal: Journal, uid: str, rater: str, *, lease_s: float = 900.0) -> Task:
    """Take a judgement back, and give its comparison to the same rater again, with the same sides.

    The judgement stays; a skip with the reason `undone` supersedes it.

    Raises:
        DataError: there is no such judgement, it is of another rater, or it is superseded already.
    """
    table = schema.judgement
    with journal.transaction() as connection:
        one_at_a_time(connection, f"undo {rater}")
        old, heir = _before(connection, uid)
        if old is None or old["rater"] != rater or old["reasons"] == leases.UNDONE:
            raise DataError(
                "there is nothing of this rater's to undo",
                expected="the uid of a judgement of theirs",
                found=repr(uid),
            )
        back = replace(
            judgement_of(SimpleNamespace(**old)),
            uid=f"{uid} undone",
            verdict=Verdict.SKIP,
            strength=0,
            reasons=_given(leases.UNDONE),
            note="",
            judged_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            supersedes=uid,
        )
        _check_correction(back, old, heir)
        connection.execute(insert(table), _row(back))
        leases.close(connection, [(back.comparison, rater)])
        grant = Grant(back.comparison, back.task, back.swapped)
        (task,) = lend(connection, rater, [grant], time.time() + lease_s)
    return task


def judgements(journal: Journal, sources: Sequence[str] = (), *, current: bool = True) -> list[Judgement]:
    """Judgements in the order in which they came.

    Args:
        journal: The journal.
        sources: Only of comparisons of these sources; of all when none is named.
        current: Leave out those that a later one supersedes.
    """
    table = schema.judgement
    query = select(table).order_by(table.c.seq)
    if sources:
        query = query.join(schema.comparison, schema.comparison.c.id == table.c.comparison).where(
            schema.comparison.c.source.in_(sources)
        )
    with journal.reading() as connection:
        found = [judgement_of(row) for row in connection.execute(query)]
    return without_superseded(found) if current else found


def newest(journal: Journal) -> int:
    """Number of the last judgement, 0 where there is none; numbers only grow."""
    with journal.reading() as connection:
        return connection.execute(select(func.max(schema.judgement.c.seq))).scalar() or 0


def count_after(journal: Journal, number: int, *, besides: str = "") -> int:
    """How many judgements came after the one of this number; those that correct another count too.

    Args:
        journal: Where they are.
        number: Of a judgement, as `newest` tells it.
        besides: Those of comparisons whose source begins so are not counted.
    """
    table, shown = schema.judgement, schema.comparison
    query = select(func.count()).select_from(table).where(table.c.seq > number)
    if besides:
        query = query.join(shown, shown.c.id == table.c.comparison)
        query = query.where(~shown.c.source.startswith(besides, autoescape=True))
    with journal.reading() as connection:
        return connection.execute(query).scalar() or 0


def without_superseded(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Those that no other of them supersedes, in their order."""
    superseded = {j.supersedes for j in judgements if j.supersedes}
    return [j for j in judgements if j.uid not in superseded]


def _before(connection: Connection, uid: str) -> tuple[dict[str, Any] | None, str | None]:
    """The row of a judgement, and the uid of the one that supersedes it."""
    table = schema.judgement
    old = connection.execute(select(table).where(table.c.uid == uid)).first()
    heir = connection.execute(select(table.c.uid).where(table.c.supersedes == uid)).scalar()
    return None if old is None else dict(old._mapping), heir


def _stored(connection: Connection, made: Callable[[bool], Judgement]) -> Judgement | None:
    """What is stored under the uid of a judgement that is sent again, if anything is.

    Raises:
        DataError: it is another one.
    """
    known = connection.execute(_KNOWN, {"uid": made(False).uid}).first()
    if known is None:
        return None
    stored = judgement_of(known)
    given = made(stored.swapped)
    given = replace(given, swapped=stored.swapped, task=stored.task, supersedes=stored.supersedes)
    _same(given, _row(given), dict(known._mapping))
    return stored


def _row(j: Judgement) -> dict[str, Any]:
    return {
        "uid": j.uid,
        "comparison": j.comparison,
        "rater": j.rater,
        "verdict": j.verdict.value,
        "strength": j.strength,
        "reasons": _listed(j.reasons),
        "note": j.note,
        "guideline": j.guideline,
        "seconds": j.seconds,
        "judged_at": j.judged_at,
        "supersedes": j.supersedes,
        "swapped": int(j.swapped),
        "task": j.task,
    }


@lru_cache(maxsize=4096)
def _listed(reasons: tuple[str, ...]) -> str:
    # Raters give the same few reasons a million times.
    return json.dumps(list(reasons), ensure_ascii=False)


@lru_cache(maxsize=4096)
def _given(reasons: str) -> tuple[str, ...]:
    return tuple(json.loads(reasons))


def judgement_of(row: Any) -> Judgement:
    """A row of `judgement` as a record."""
    return Judgement(
        uid=row.uid,
        comparison=row.comparison,
        rater=row.rater,
        verdict=_VERDICTS[row.verdict],
        strength=row.strength,
        reasons=_given(row.reasons),
        note=row.note,
        guideline=row.guideline,
        seconds=row.seconds,
        judged_at=row.judged_at,
        supersedes=row.supersedes,
        swapped=bool(row.swapped),
        task=row.task,
    )


def _same(j: Judgement, row: dict[str, Any], earlier: dict[str, Any]) -> None:
    changed = [name for name in _CONTENT if row[name] != earlier[name]]
    if changed:
        raise DataError(
            "a judgement's uid was used before, for something else",
            where=f"judgement {j.uid}",
            expected=", ".join(f"{name} {earlier[name]!r}" for name in changed),
            found=", ".join(f"{name} {row[name]!r}" for name in changed),
            hint="a correction is a new judgement that supersedes the old one",
        )


def _check(j: Judgement, comparisons: set[str], raters: set[str]) -> None:
    where = f"judgement {j.uid}"
    if not j.uid:
        # "" in `supersedes` means that nothing is superseded.
        raise DataError("a judgement has no uid", where=f"comparison {j.comparison}", expected="a text of its own")
    if j.seconds is not None and not 0 <= j.seconds < math.inf:
        # SQLite would turn NaN into NULL without a word.
        raise DataError(
            "the seconds of a judgement are no length of time",
            where=where,
            expected="a number from 0 on, or None when unknown",
            found=str(j.seconds),
        )
    if j.comparison not in comparisons:
        raise DataError(
            "a judgement is of an unknown comparison",
            where=where,
            expected="the id of a stored comparison",
            found=repr(j.comparison),
            hint="add the comparison first",
        )
    if j.rater not in raters:
        raise DataError(
            "a judgement is by an unknown rater",
            where=where,
            expected="the id of a stored rater",
            found=repr(j.rater),
            hint="add the rater first",
        )


def _check_correction(j: Judgement, old: dict[str, Any] | None, heir: str | None) -> None:
    where = f"judgement {j.uid}"
    if old is None or (old["rater"], old["comparison"]) != (j.rater, j.comparison):
        raise DataError(
            "a judgement supersedes one that is not its own",
            where=where,
            expected="an earlier judgement of the same comparison by the same rater",
            found=repr(j.supersedes),
            hint="judge anew, without `supersedes`",
        )
    if heir is not None:
        # Two heirs would both be current, and the rater would have two votes.
        raise DataError(
            "a judgement supersedes one that is superseded already",
            where=where,
            expected=f"{heir}, the newer one",
            found=j.supersedes,
            hint="supersede the newest judgement, or read the journal again",
        )
