"""Judgements: written once, acknowledged when they are safe, read back in order."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from palate.core.errors import DataError
from palate.core.records import Judgement, Verdict
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching

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
    table = schema.judgement
    with journal.transaction() as connection:
        superseded = {j.supersedes for j in judgements if j.supersedes}
        uids = {j.uid for j in judgements} | superseded
        known = {row.uid: dict(row._mapping) for row in matching(connection, select(table), table.c.uid, uids)}
        later = select(table.c.supersedes, table.c.uid).where(table.c.supersedes != "")
        heirs = {row.supersedes: row.uid for row in matching(connection, later, table.c.supersedes, superseded)}
        comparisons = _ids(connection, schema.comparison.c.id, {j.comparison for j in judgements})
        raters = _ids(connection, schema.rater.c.id, {j.rater for j in judgements})
        fresh: dict[str, dict[str, Any]] = {}
        for j in judgements:
            row = _row(j)
            earlier = known.get(j.uid) or fresh.get(j.uid)
            if earlier is not None:
                _same(j, row, earlier)
                continue
            _check(j, comparisons, raters)
            if j.supersedes:
                _check_correction(j, known.get(j.supersedes) or fresh.get(j.supersedes), heirs.get(j.supersedes))
                heirs[j.supersedes] = j.uid
            fresh[j.uid] = row
        if fresh:
            connection.execute(insert(table), list(fresh.values()))
        lease = schema.lease
        close = delete(lease).where(and_(lease.c.comparison == bindparam("of"), lease.c.rater == bindparam("by")))
        connection.execute(close, [{"of": j.comparison, "by": j.rater} for j in judgements])
        return len(fresh)


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
        found = [_judgement(row) for row in connection.execute(query)]
    return without_superseded(found) if current else found


def without_superseded(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Those that no other of them supersedes, in their order."""
    superseded = {j.supersedes for j in judgements if j.supersedes}
    return [j for j in judgements if j.uid not in superseded]


def _ids(connection: Connection, column: Any, values: set[str]) -> set[str]:
    return {row[0] for row in matching(connection, select(column), column, values)}


def _row(j: Judgement) -> dict[str, Any]:
    return {
        "uid": j.uid,
        "comparison": j.comparison,
        "rater": j.rater,
        "verdict": j.verdict.value,
        "strength": j.strength,
        "reasons": json.dumps(list(j.reasons), ensure_ascii=False),
        "note": j.note,
        "guideline": j.guideline,
        "seconds": j.seconds,
        "judged_at": j.judged_at,
        "supersedes": j.supersedes,
    }


def _judgement(row: Any) -> Judgement:
    return Judgement(
        uid=row.uid,
        comparison=row.comparison,
        rater=row.rater,
        verdict=Verdict(row.verdict),
        strength=row.strength,
        reasons=tuple(json.loads(row.reasons)),
        note=row.note,
        guideline=row.guideline,
        seconds=row.seconds,
        judged_at=row.judged_at,
        supersedes=row.supersedes,
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
