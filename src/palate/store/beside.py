"""What a judge and people said of the same comparisons, counted where it is stored: rows come out one by one.

Each person has one voice a comparison, the last that nothing supersedes; skips and `both_bad` say nothing of sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, case, func, select

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

    Args:
        journal: The journal. It is read while this is iterated over, all as of one moment.
        judge: Its pseudonym.
    """
    verdicts = {verdict.value: verdict for verdict in _DIRECTED}
    with journal.reading() as connection:
        found = connection.execute(_query(judge).execution_options(yield_per=_FETCH))
        for prompt, kind, verdict, first, second, tie, shown, gap, principle in found:
            yield Beside(prompt, kind, verdicts[verdict], first, second, tie, shown, gap, principle or "")


def _query(judge: str) -> Select[Any]:
    own, shown, prompt = schema.judgement.alias("own"), schema.comparison, schema.prompt
    one, other = schema.completion.alias("one"), schema.completion.alias("other")
    people, opinion = _people(judge), _opinions(judge)
    return (
        select(shown.c.prompt, prompt.c.kind, own.c.verdict, people.c.first, people.c.second, people.c.tie)
        .add_columns(opinion.c.shown_first, func.length(one.c.text) - func.length(other.c.text), opinion.c.principle)
        .select_from(own)
        .join(people, people.c.comparison == own.c.comparison)
        .join(shown, shown.c.id == own.c.comparison)
        .join(prompt, prompt.c.id == shown.c.prompt)
        .join(one, one.c.id == shown.c.first)
        .join(other, other.c.id == shown.c.second)
        .outerjoin(opinion, opinion.c.comparison == own.c.comparison)
        .where(own.c.rater == judge, own.c.verdict.in_([verdict.value for verdict in _DIRECTED]))
        .order_by(shown.c.seq)
    )


def _people(judge: str) -> Any:
    """Votes by comparison, of those that the judge has judged."""
    said, rater = schema.judgement, schema.rater
    newer = select(said.c.supersedes).where(said.c.supersedes != "")
    asked = schema.judgement.alias("asked")
    voices = (
        select(said.c.comparison, said.c.verdict)
        .add_columns(
            func.row_number()
            .over(partition_by=(said.c.comparison, said.c.rater), order_by=said.c.seq.desc())
            .label("place")
        )
        .join(rater, rater.c.id == said.c.rater)
        .where(rater.c.kind != "model", said.c.uid.not_in(newer))
        .where(said.c.comparison.in_(select(asked.c.comparison).where(asked.c.rater == judge)))
        .subquery("voices")
    )
    counts = [
        func.sum(case((voices.c.verdict == verdict.value, 1), else_=0)).label(verdict.value) for verdict in _DIRECTED
    ]
    return (
        select(voices.c.comparison, *counts)
        .where(voices.c.place == 1, voices.c.verdict.in_([verdict.value for verdict in _DIRECTED]))
        .group_by(voices.c.comparison)
        .subquery("people")
    )


def _opinions(judge: str) -> Any:
    """What the judge said of each comparison, over both orders."""
    told = schema.ai_opinion
    shown = func.avg(case((told.c.swapped == 1, 1 - told.c.p_first), else_=told.c.p_first))
    return (
        select(told.c.comparison, func.max(told.c.principle).label("principle"))
        .add_columns(case((func.count(told.c.p_first) > 1, shown), else_=None).label("shown_first"))
        .where(told.c.judge == judge)
        .group_by(told.c.comparison)
        .subquery("opinion")
    )
