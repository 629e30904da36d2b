"""Ranking two to six answers at once, ties allowed: one judgement, however many pairs it implies."""

from __future__ import annotations

import json
import random

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import exists, func, select

from palate.core.ids import derive_seed
from palate.core.records import Ranking
from palate.pages.errors import Refusal
from palate.pages.markdown import safe_html
from palate.pages.templates import render
from palate.store import guidelines, profiles, rankings, schema
from palate.store.journal import Journal
from palate.workbench import asking, desk, texts
from palate.workbench.bodies import Order
from palate.workbench.who import Open, Sitting

router = APIRouter(include_in_schema=False)


@router.get("/rank")
def page(request: Request, journal: Open, seat: Sitting) -> Response:
    """The next slate for this rater, its answers in an order that the server drew."""
    found = next_slate(journal, seat.rater)
    current = guidelines.current(journal)
    if found is None:
        return render(request, "rank.html", slate="")
    slate, prompt, completions = found
    order = shuffled(slate, seat.rater, len(completions))
    written = _texts(journal, completions)
    asked = texts.prompt(journal, prompt)
    return render(
        request,
        "rank.html",
        slate=slate,
        order=json.dumps(order),
        prompt_html=Markup(texts.asked_html(asked)) if asked else "",
        answers=[Markup(safe_html(written[completions[place]])) for place in order],
        reasons=asking.asking(journal).reasons,
        guideline_id=current.id if current else "",
    )


@router.post("/rank/ranking")
def store(journal: Open, seat: Sitting, body: Order) -> dict[str, str]:
    """Store a ranking. Ranks come in the order as shown, and are stored in the slate's own."""
    expected = _size(journal, body.slate)
    if len(body.ranks) != expected or body.order != shuffled(body.slate, seat.rater, expected):
        raise Refusal(400, "The ranks are not those of this slate as it was shown.", param="order")
    own = [0] * expected
    for place, rank in zip(body.order, body.ranks, strict=True):
        own[place] = rank
    if sum(rank > 0 for rank in own) < 2:
        raise Refusal(400, "A ranking needs at least two answers with a rank.", param="ranks")
    made = Ranking(
        uid=body.uid,
        slate=body.slate,
        rater=seat.rater,
        ranks=tuple(own),
        order=tuple(body.order),
        reasons=tuple(body.reasons),
        note=body.note,
        guideline=desk.known_guideline(journal, body.guideline),
        seconds=body.seconds,
    )
    rankings.add(journal, [made])
    return {"stored": body.uid}


def next_slate(journal: Journal, rater: str) -> tuple[str, str, list[str]] | None:
    """The slate that the fewest have ranked and this rater has not: its id, prompt and completions."""
    slate, ranking, prompt = schema.slate, schema.ranking, schema.prompt
    mine = exists().where(ranking.c.slate == slate.c.id, ranking.c.rater == rater)
    times = select(func.count()).where(ranking.c.slate == slate.c.id).scalar_subquery()
    query = select(slate.c.id, slate.c.prompt, slate.c.completions).where(~mine)
    if avoided := profiles.avoided(journal, rater):
        query = query.join(prompt, prompt.c.id == slate.c.prompt).where(prompt.c.kind.not_in(avoided))
    with journal.reading() as connection:
        row = connection.execute(query.order_by(times, slate.c.seq).limit(1)).first()
    return None if row is None else (row.id, row.prompt, json.loads(row.completions))


def shuffled(slate: str, rater: str, size: int) -> list[int]:
    """The places of a slate in the order in which this rater sees them; the same each time they look."""
    order = list(range(size))
    random.Random(derive_seed(0, slate, rater)).shuffle(order)
    return order


def _size(journal: Journal, slate: str) -> int:
    with journal.reading() as connection:
        query = select(schema.slate.c.completions).where(schema.slate.c.id == slate)
        found = connection.execute(query).scalar()
    if found is None:
        raise Refusal(404, "There is no such slate.", param="slate")
    return len(json.loads(found))


def _texts(journal: Journal, completions: list[str]) -> dict[str, str]:
    table = schema.completion
    with journal.reading() as connection:
        rows = connection.execute(select(table.c.id, table.c.text).where(table.c.id.in_(completions)))
        return {row.id: row.text for row in rows}
