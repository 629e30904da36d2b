"""What a judge and people said of the same comparisons: a million judgements as small numbers, rows one by one.

Each person has one voice a comparison, the last that nothing supersedes; skips and `both_bad` say nothing of sides.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from palate.core.records import Verdict
from palate.store import schema
from palate.store.journal import Journal

_FETCH: Final = 5_000
_DIRECTED: Final = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)


class Beside(NamedTuple):
    """A comparison that a judge and people have judged."""

    prompt: str
    """Its id."""
    kind: str
    """Of the prompt."""
    verdict: Verdict
    """The judge's."""
    first: int
    second: int
    tie: int
    """People of each verdict."""
    shown_first: float | None
    """Mean probability, to the judge, of the side that was shown first; None unless it was asked in both orders."""
    gap: int
    """Characters of the first answer, less those of the second."""
    principle: str
    """By which the judge judged, if by one."""


class Judged(NamedTuple):
    """How many comparisons a judge has judged."""

    said: int
    silent: int
    """It would not say."""


def judged(journal: Journal, judge: str) -> Judged:
    """Comparisons of which a judge has said all."""
    table = schema.judgement
    silent = func.coalesce(func.sum(case((table.c.verdict == Verdict.SKIP.value, 1), else_=0)), 0)
    with journal.reading() as connection:
        row = connection.execute(select(func.count(), silent).where(table.c.rater == judge)).one()
    return Judged(int(row[0]) - int(row[1]), int(row[1]))


def beside(journal: Journal, judge: str) -> Iterator[Beside]:
    """Comparisons that a judge and at least one person have judged, in the order in which they came.

    Tables are read from one end to the other, each once: to look up each comparison's rows takes ten times as long.

    Args:
        journal: The journal. It is read while this is iterated over, all as of one moment.
        judge: Its pseudonym.
    """
    with journal.reading() as connection:
        own = _own(connection, judge)
        votes = _votes(connection, own)
        shown, principle = _opinions(connection, judge, own)
        prompt, answer = schema.prompt, schema.completion
        kinds: dict[str, str] = dict(_rows(connection, select(prompt.c.id, prompt.c.kind)))
        lengths: dict[str, int] = dict(_rows(connection, select(answer.c.id, func.length(answer.c.text))))
        table = schema.comparison
        query = select(table.c.id, table.c.prompt, table.c.first, table.c.second).order_by(table.c.seq)
        for id, asked, one, other in _rows(connection, query):
            said = own.get(id)
            if said is None:
                continue
            first, second, tie = votes[3 * said.place : 3 * said.place + 3]
            if first or second or tie:
                gap = lengths[one] - lengths[other]
                by = principle.get(said.place, "")
                yield Beside(asked, kinds[asked], said.verdict, first, second, tie, shown.get(said.place), gap, by)


class _Own(NamedTuple):
    """What the judge made of a comparison."""

    place: int
    verdict: Verdict


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    yield from connection.execute(query.execution_options(yield_per=_FETCH))


def _own(connection: Connection, judge: str) -> dict[str, _Own]:
    """By comparison; those on which it would not say are left out."""
    table = schema.judgement
    directed = {verdict.value: verdict for verdict in _DIRECTED}
    query = select(table.c.comparison, table.c.verdict).where(table.c.rater == judge).order_by(table.c.seq)
    found: dict[str, _Own] = {}
    for id, verdict in _rows(connection, query):
        if verdict in directed:
            found[id] = _Own(len(found), directed[verdict])
    return found


def _votes(connection: Connection, own: Mapping[str, _Own]) -> array[int]:
    """For each place, how many people said each of `_DIRECTED`."""
    table, rater = schema.judgement, schema.rater
    people = {row[0]: n for n, row in enumerate(connection.execute(select(rater.c.id).where(rater.c.kind != "model")))}
    newer = select(table.c.supersedes).where(table.c.supersedes != "")
    query = select(table.c.comparison, table.c.rater, table.c.verdict).where(table.c.uid.not_in(newer))
    last: dict[int, str] = {}  # of a place and a person
    for id, by, verdict in _rows(connection, query.order_by(table.c.seq)):
        if (who := people.get(by)) is not None and (said := own.get(id)) is not None:
            last[said.place * len(people) + who] = verdict
    index = {verdict.value: number for number, verdict in enumerate(_DIRECTED)}
    found = array("i", bytes(4 * 3 * len(own)))
    for key, verdict in last.items():
        if verdict in index:
            found[3 * (key // len(people)) + index[verdict]] += 1
    return found


def _opinions(connection: Connection, judge: str, own: Mapping[str, _Own]) -> tuple[dict[int, float], dict[int, str]]:
    """By place: the mean of what was shown first, where there are two orders; and the principle, where there is one."""
    told = schema.ai_opinion
    shown = case((told.c.swapped == 1, 1 - told.c.p_first), else_=told.c.p_first)
    query = select(told.c.comparison, shown, told.c.principle).where(told.c.judge == judge, told.c.p_first.is_not(None))
    one: dict[int, float] = {}
    both: dict[int, float] = {}
    principle: dict[int, str] = {}
    for id, p, by in _rows(connection, query.order_by(told.c.seq)):
        if (said := own.get(id)) is None:
            continue
        if by:
            principle[said.place] = by
        if said.place in one:
            both[said.place] = (one.pop(said.place) + p) / 2
        else:
            one[said.place] = p
    return both, principle
