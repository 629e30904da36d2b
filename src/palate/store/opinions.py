"""What models say of comparisons: stored once for each order of the sides, and a judgement when both are there.

A judge is a model with what it is asked. It is a rater of the kind `model`, so that everything that reads judgements
reads its verdicts too; what it said in which order, and how surely, stands beside them.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, or_, select

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.core.judges import Pair
from palate.core.records import Judgement, Prompt, Rater, Verdict
from palate.store import judgements, rows, schema
from palate.store.journal import Journal
from palate.store.lookup import matching, one_at_a_time
from palate.store.writing import put, room

TASK: Final = "model"
TIE: Final = 0.05
"""An opinion is a tie this near to ½: so near are two orders that say the opposite as surely."""
_FETCH: Final = 20_000
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AIJudge:
    """A model with what it is asked."""

    name: str
    """As reports call it."""
    model: str
    """Which: the id of a folder's bytes, or an address with the model's name."""
    template: str = ""
    """Name and version of what it is asked; nothing for a reward model."""
    template_id: str = ""
    """Of the words of the template."""

    @property
    def rater(self) -> str:
        """Its pseudonym: another model, or another word in the template, is another judge."""
        return f"model-{content_id('ai judge', [self.model, self.template_id])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a judge said of a comparison in one order of its sides."""

    comparison: str
    swapped: bool
    """`second` was shown first."""
    p_first: float | None
    """Probability that the comparison's own first side is better; None where the judge would not say."""
    why: str = ""
    principle: str = ""
    """By which it was judged, if by one."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    said_at: str = ""


class Left(NamedTuple):
    """What a judge has still to say, small enough for millions of comparisons."""

    seqs: array[int]
    """Places of comparisons in the journal."""
    orders: list[tuple[bool, ...]]
    """Of each, the orders in which it is still to be shown."""

    @property
    def questions(self) -> int:
        """A comparison in one order is one."""
        return sum(map(len, self.orders))

    def first(self, count: int) -> Left:
        """So many of them."""
        return Left(self.seqs[:count], self.orders[:count])


class Waiting(NamedTuple):
    """A comparison that a judge has not finished with."""

    comparison: str
    pair: Pair
    """With the comparison's own sides."""
    orders: tuple[bool, ...]
    """Whether swapped, of each order that is still to be asked."""


def enrol(journal: Journal, judge: AIJudge) -> str:
    """Make a judge known; its pseudonym."""
    with journal.transaction() as connection:
        rows.put_raters(connection, [Rater(judge.rater, kind="model")])
        row = {"id": judge.rater, "name": judge.name, "model": judge.model}
        more = {"template": judge.template, "template_id": judge.template_id}
        rows.put_new(connection, schema.ai_judge, [row | more])
    return judge.rater


def judges(journal: Journal) -> dict[str, AIJudge]:
    """All judges, by pseudonym."""
    table = schema.ai_judge
    with journal.reading() as connection:
        found = connection.execute(select(table).order_by(table.c.seq)).all()
    return {
        row.id: AIJudge(name=row.name, model=row.model, template=row.template, template_id=row.template_id)
        for row in found
    }


def left(
    journal: Journal, judge: str, sources: Sequence[str] = (), *, orders: Sequence[bool] = (False, True),
    gaps: bool = False,
) -> Left:  # fmt: skip
    """Comparisons of which a judge has not said all, in the order in which they came; their texts are not read.

    Args:
        journal: The journal.
        judge: Its pseudonym.
        sources: Only of these; of all when none is named.
        orders: In which the sides are to be shown.
        gaps: Only those that no person has judged.
    """
    shown, told = schema.comparison, schema.ai_opinion
    whose = (told.c.comparison == shown.c.id, told.c.judge == judge)
    open_ = [~select(told.c.seq).where(*whose, told.c.swapped == int(order)).exists() for order in orders]
    query = select(shown.c.seq, *(one.label(f"open_{place}") for place, one in enumerate(open_))).where(or_(*open_))
    query = query.where(shown.c.source.in_(sources)) if sources else query
    if gaps:
        by_people = (schema.judgement.c.comparison == shown.c.id, schema.judgement.c.task != TASK)
        query = query.where(~select(schema.judgement.c.seq).where(*by_people).exists())
    found = Left(array("q"), [])
    known: dict[tuple[bool, ...], tuple[bool, ...]] = {}
    with journal.reading() as connection, room(connection):
        for seq, *still in connection.execute(query.order_by(shown.c.seq).execution_options(yield_per=_FETCH)):
            of = tuple(order for order, it_is in zip(orders, still, strict=True) if it_is)
            found.seqs.append(seq)
            found.orders.append(known.setdefault(of, of))
    return found


def waiting(journal: Journal, left: Left) -> Iterator[Waiting]:
    """Those comparisons with their texts, of which a few hundred are read at a time."""
    for start in range(0, len(left.seqs), _PAGE):
        orders = dict(zip(left.seqs[start : start + _PAGE], left.orders[start : start + _PAGE], strict=True))
        with journal.reading() as connection:
            found = connection.execute(_SHOWN.where(schema.comparison.c.seq.in_(list(orders)))).all()
        for row in found:
            prompt = Prompt.from_dicts(json.loads(row.messages), row.kind, row.language)
            yield Waiting(row.id, Pair(prompt, row.first_text, row.second_text), orders[row.seq])


def add(journal: Journal, judge: str, said: Sequence[Said], *, orders: Sequence[bool] = (False, True)) -> int:
    """Store opinions in one transaction, and the verdicts of comparisons of which all is said.

    An opinion on what the judge has spoken of before changes nothing.

    Returns:
        How many were new.

    Raises:
        DataError: the judge is not enrolled, a comparison is unknown, or a probability is none.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with journal.transaction() as connection:
        one_at_a_time(connection, "judge")
        new = rows.put_new(connection, schema.ai_opinion, [_row(judge, one, now) for one in said])
        both = _verdicts(connection, judge, {one.comparison for one in said}, set(orders))
        fresh = judgements.fresh(connection, both)
        put(connection, schema.judgement, fresh)
        judgements.settle(connection, both)
    return new


def counts(journal: Journal) -> dict[str, int]:
    """By judge, of how many comparisons it has spoken."""
    table = schema.ai_opinion
    query = select(table.c.judge, func.count(table.c.comparison.distinct())).group_by(table.c.judge)
    with journal.reading() as connection:
        return {judge: int(count) for judge, count in connection.execute(query)}


def opinions(journal: Journal, judge: str) -> dict[str, list[Said]]:
    """All that a judge said, by comparison."""
    with journal.reading() as connection:
        return _said(connection, judge)


def probabilities(journal: Journal, sources: Sequence[str] = ()) -> dict[tuple[str, str], float]:
    """By judge and comparison, how probable it is to them that the first side is better: the mean over orders.

    A comparison on which a judge would not say in one of the orders is left out, as in `p_first`.

    Args:
        journal: The journal.
        sources: Only of comparisons of these sources; of all when none is named.
    """
    told = schema.ai_opinion
    query = (
        select(told.c.judge, told.c.comparison, func.avg(told.c.p_first))
        .group_by(told.c.judge, told.c.comparison)
        .having(func.count() == func.count(told.c.p_first))
    )
    if sources:
        shown = schema.comparison
        query = query.join(shown, shown.c.id == told.c.comparison).where(shown.c.source.in_(sources))
    with journal.reading() as connection:
        return {(judge, comparison): float(p) for judge, comparison, p in connection.execute(query)}


def p_first(said: Iterable[Said]) -> float | None:
    """The mean over orders; None where one of them has no opinion, since its side may be all that the other saw."""
    found = [one.p_first for one in said]
    return None if not found or None in found else sum(p for p in found if p is not None) / len(found)


def _said(connection: Connection, judge: str, comparisons: Iterable[str] | None = None) -> dict[str, list[Said]]:
    table = schema.ai_opinion
    query = select(table).where(table.c.judge == judge).order_by(table.c.seq)
    some = (
        connection.execute(query)
        if comparisons is None
        else matching(connection, query, table.c.comparison, comparisons)
    )
    found: dict[str, list[Said]] = defaultdict(list)
    for row in some:
        found[row.comparison].append(
            Said(
                comparison=row.comparison,
                swapped=bool(row.swapped),
                p_first=row.p_first,
                why=row.why,
                principle=row.principle,
                prompt_tokens=row.prompt_tokens,
                completion_tokens=row.completion_tokens,
                said_at=row.said_at,
            )
        )
    return dict(found)


def _verdicts(connection: Connection, judge: str, comparisons: set[str], orders: set[bool]) -> list[Judgement]:
    """Of the comparisons that were shown in all orders; a judge that would not say in one of them skips."""
    found = []
    for comparison, some in _said(connection, judge, comparisons).items():
        if not orders <= {one.swapped for one in some}:
            continue
        p = p_first(some)
        verdict = Verdict.SKIP if p is None else Verdict.TIE if abs(p - 0.5) <= TIE else _side(p)
        found.append(
            Judgement(
                uid=f"ai {content_id('ai verdict', [judge, comparison])}",
                comparison=comparison,
                rater=judge,
                verdict=verdict,
                note="; ".join(dict.fromkeys(one.why for one in some if one.why)) if p is None else "",
                judged_at=max(one.said_at for one in some),
                task=TASK,
            )
        )
    return found


def _side(p: float) -> Verdict:
    return Verdict.FIRST if p > 0.5 else Verdict.SECOND


def _row(judge: str, one: Said, now: str) -> dict[str, object]:
    if one.p_first is not None and not 0 <= one.p_first <= 1:
        raise DataError("an opinion is no probability", where=f"comparison {one.comparison}", found=str(one.p_first))
    return {
        "uid": content_id("ai opinion", [judge, one.comparison, one.swapped]),
        "judge": judge,
        "comparison": one.comparison,
        "swapped": int(one.swapped),
        "p_first": one.p_first,
        "why": one.why,
        "principle": one.principle,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "said_at": one.said_at or now,
    }


_ONE, _OTHER = schema.completion.alias("one"), schema.completion.alias("other")
_SHOWN = (
    select(
        schema.comparison.c.seq,
        schema.comparison.c.id,
        schema.prompt.c.messages,
        schema.prompt.c.kind,
        schema.prompt.c.language,
    )
    .add_columns(_ONE.c.text.label("first_text"), _OTHER.c.text.label("second_text"))
    .join(schema.prompt, schema.prompt.c.id == schema.comparison.c.prompt)
    .join(_ONE, _ONE.c.id == schema.comparison.c.first)
    .join(_OTHER, _OTHER.c.id == schema.comparison.c.second)
    .order_by(schema.comparison.c.seq)
)
