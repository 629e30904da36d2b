"""Slates of two to six answers, and how raters ordered them: one ranking is one judgement."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from palate.core.errors import DataError
from palate.core.records import Ranking, Slate
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching, one_at_a_time, require

# Not `judged_at`: who sends a ranking again may stamp it again, and the first stamp stays.
_CONTENT = ("slate", "rater", "ranks", "shown", "reasons", "note", "guideline", "seconds", "supersedes")


def add_slates(journal: Journal, slates: Iterable[Slate]) -> int:
    """Add slates of known completions; the number of new ones.

    Raises:
        DataError: a prompt or completion is unknown, or a completion answers another prompt. Nothing is added then.
    """
    given = {slate.id: slate for slate in slates}
    if not given:
        return 0
    table, completion = schema.slate, schema.completion
    with journal.transaction() as connection:
        one_at_a_time(connection, table.name)
        known = {row.id for row in matching(connection, select(table.c.id), table.c.id, given)}
        fresh = [slate for id, slate in given.items() if id not in known]
        named = {id for slate in fresh for id in slate.completions}
        require(connection, completion.c.id, named, who="slates")
        pairs = select(completion.c.id, completion.c.prompt)
        asked = {row.id: row.prompt for row in matching(connection, pairs, completion.c.id, named)}
        for slate in fresh:
            if wrong := [id for id in slate.completions if asked[id] != slate.prompt]:
                raise DataError(
                    "a slate holds an answer to another prompt",
                    where=f"slate {slate.id}",
                    expected=f"completions of prompt {slate.prompt}",
                    found=f"completion {wrong[0]}",
                )
        if fresh:
            connection.execute(insert(table), [slate_row(slate) for slate in fresh])
    return len(fresh)


def slates(journal: Journal, sources: Sequence[str] = ()) -> dict[str, Slate]:
    """Slates by id, of some sources or, with none named, of all."""
    table = schema.slate
    query = select(table).order_by(table.c.seq)
    if sources:
        query = query.where(table.c.source.in_(sources))
    with journal.reading() as connection:
        return {
            row.id: Slate(prompt=row.prompt, completions=tuple(json.loads(row.completions)), source=row.source)
            for row in connection.execute(query)
        }


def next_for(journal: Journal, rater: str) -> Slate | None:
    """A slate that this rater has not ranked, of those that the fewest have; None when there is none."""
    table, said = schema.slate, schema.ranking
    theirs = select(said.c.slate).where(said.c.rater == rater)
    others = select(func.count(said.c.rater.distinct())).where(said.c.slate == table.c.id).scalar_subquery()
    query = select(table).where(table.c.id.not_in(theirs)).order_by(others, table.c.seq).limit(1)
    with journal.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Slate(prompt=row.prompt, completions=tuple(json.loads(row.completions)), source=row.source)


def add(journal: Journal, rankings: Sequence[Ranking]) -> int:
    """Store rankings in one transaction; how many were new. Sending one again changes nothing.

    Raises:
        DataError: a slate or rater is unknown, a ranking is not as long as its slate, a uid is empty or was used
            for something else, or it supersedes one that is not its own. Nothing is stored then.
    """
    if not rankings:
        return 0
    table = schema.ranking
    with journal.transaction() as connection:
        one_at_a_time(connection, table.name)
        uids = {r.uid for r in rankings} | {r.supersedes for r in rankings if r.supersedes}
        known = {row.uid: dict(row._mapping) for row in matching(connection, select(table), table.c.uid, uids)}
        sizes = _sizes(connection, {r.slate for r in rankings})
        require(connection, schema.rater.c.id, {r.rater for r in rankings}, who="rankings")
        fresh: dict[str, dict[str, Any]] = {}
        for ranking in rankings:
            stored = row(ranking)
            earlier = known.get(ranking.uid) or fresh.get(ranking.uid)
            if earlier is not None:
                _same(ranking, stored, earlier)
                continue
            _check(ranking, sizes, known.get(ranking.supersedes) or fresh.get(ranking.supersedes))
            fresh[ranking.uid] = stored
        if fresh:
            connection.execute(insert(table), list(fresh.values()))
    return len(fresh)


def all(journal: Journal, *, current: bool = True) -> list[Ranking]:
    """Rankings in the order in which they came; with `current`, without those that a later one supersedes."""
    table = schema.ranking
    with journal.reading() as connection:
        found = [_ranking(row) for row in connection.execute(select(table).order_by(table.c.seq))]
    superseded = {ranking.supersedes for ranking in found if ranking.supersedes} if current else set()
    return [ranking for ranking in found if ranking.uid not in superseded]


def slate_row(slate: Slate) -> dict[str, Any]:
    """A slate as it is stored."""
    completions = json.dumps(list(slate.completions))
    return {"id": slate.id, "prompt": slate.prompt, "completions": completions, "source": slate.source}


def row(ranking: Ranking) -> dict[str, Any]:
    """A ranking as it is stored."""
    return {
        "uid": ranking.uid,
        "slate": ranking.slate,
        "rater": ranking.rater,
        "ranks": json.dumps(list(ranking.ranks)),
        "shown": json.dumps(list(ranking.order)),
        "reasons": json.dumps(list(ranking.reasons), ensure_ascii=False),
        "note": ranking.note,
        "guideline": ranking.guideline,
        "seconds": ranking.seconds,
        "judged_at": ranking.judged_at,
        "supersedes": ranking.supersedes,
    }


def _ranking(row: Any) -> Ranking:
    return Ranking(
        uid=row.uid,
        slate=row.slate,
        rater=row.rater,
        ranks=tuple(json.loads(row.ranks)),
        order=tuple(json.loads(row.shown)),
        reasons=tuple(json.loads(row.reasons)),
        note=row.note,
        guideline=row.guideline,
        seconds=row.seconds,
        judged_at=row.judged_at,
        supersedes=row.supersedes,
    )


def _sizes(connection: Connection, slates: set[str]) -> dict[str, int]:
    table = schema.slate
    require(connection, table.c.id, slates, who="rankings")
    rows = matching(connection, select(table.c.id, table.c.completions), table.c.id, slates)
    return {row.id: len(json.loads(row.completions)) for row in rows}


def _check(ranking: Ranking, sizes: dict[str, int], old: dict[str, Any] | None) -> None:
    where = f"ranking {ranking.uid}"
    if not ranking.uid:
        raise DataError("a ranking has no uid", where=f"slate {ranking.slate}", expected="a text of its own")
    if len(ranking.ranks) != sizes[ranking.slate]:
        expected = f"{sizes[ranking.slate]} ranks, one for each answer"
        raise DataError(
            "a ranking is not as long as its slate", where=where, expected=expected, found=str(ranking.ranks)
        )
    if ranking.seconds is not None and not 0 <= ranking.seconds < math.inf:
        expected = "a number from 0 on, or None when unknown"
        raise DataError(
            "the seconds of a ranking are no length of time", where=where, expected=expected, found=str(ranking.seconds)
        )
    if ranking.supersedes and (old is None or (old["rater"], old["slate"]) != (ranking.rater, ranking.slate)):
        raise DataError(
            "a ranking supersedes one that is not its own",
            where=where,
            expected="an earlier ranking of the same slate by the same rater",
            found=repr(ranking.supersedes),
        )


def _same(ranking: Ranking, stored: dict[str, Any], earlier: dict[str, Any]) -> None:
    changed = [name for name in _CONTENT if stored[name] != earlier[name]]
    if changed:
        raise DataError(
            "a ranking's uid was used before, for something else",
            where=f"ranking {ranking.uid}",
            expected=", ".join(f"{name} {earlier[name]!r}" for name in changed),
            found=", ".join(f"{name} {stored[name]!r}" for name in changed),
            hint="a correction is a new ranking that supersedes the old one",
        )
