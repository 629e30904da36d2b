"""The queue as leads see it: what is left, hours and pairs by rater, the budget; and the same as CSV."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, Integer, Table, cast, exists, func, select

from palate.core.errors import ConfigError
from palate.core.records import Verdict
from palate.pages.errors import Refusal
from palate.pages.templates import number, render
from palate.store import audit, demonstrations, people, queue, schema
from palate.store.journal import Journal
from palate.workbench import asking, csv_text, figures
from palate.workbench.asking import Budget
from palate.workbench.figures import Figure
from palate.workbench.who import Leading, Open

router = APIRouter(include_in_schema=False)
LONGEST_S = 900.0
"""Of one judgement, in hours of work: who left the page open was not at work."""


class Work(NamedTuple):
    """What one rater did."""

    rater: str
    name: str
    pairs: int
    hours: float
    written: int
    rankings: int

    @property
    def pace(self) -> float:
        """Pairs an hour; 0 when no time is known."""
        return self.pairs / self.hours if self.hours else 0.0


@router.get("/queue")
def page(request: Request, journal: Open, account: Leading) -> Response:
    """How far the queue has come."""
    done = work(journal)
    money = asking.budget(journal)
    found = queue.progress(journal)
    offered = asking.asking(journal)
    return render(
        request,
        "queue.html",
        problem="",
        figures=_figures(found, done, money),
        anything=found.open + found.waiting + found.closed > 0,
        people=[
            (one.name, number(one.pairs), f"{one.hours:.1f}", f"{one.pace:.0f}", one.written, one.rankings)
            for one in done
        ],
        sources=unqueued(journal),
        money=money,
        reasons="\n".join(offered.reasons),
        warned="\n".join(offered.warned),
    )


@router.get("/queue.csv")
def download(journal: Open, account: Leading) -> Response:
    """Hours and pairs by rater, for whoever pays them."""
    head = ("rater", "name", "pairs", "hours", "pairs_per_hour", "answers_written", "rankings")
    rows = [
        (one.rater, one.name, one.pairs, round(one.hours, 2), round(one.pace, 1), one.written, one.rankings)
        for one in work(journal)
    ]
    audit.write(journal, account.id, "export", "hours and pairs by rater", rows=len(rows))
    return Response(
        csv_text.table(head, rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="raters.csv"'},
    )


@router.post("/queue/fill")
def fill(
    journal: Open,
    account: Leading,
    source: Annotated[str, Form(max_length=400)],
    wanted: Annotated[int, Form(ge=1, le=9)] = 2,
) -> Response:
    """Put the comparisons of a source into the queue."""
    table, task = schema.comparison, schema.task
    query = select(table.c.id).where(table.c.source == source, ~exists().where(task.c.comparison == table.c.id))
    with journal.reading() as connection:
        ids = list(connection.execute(query).scalars())
    new = queue.enqueue(journal, ids, wanted=wanted)
    audit.write(journal, account.id, "queued", source, comparisons=new, wanted=wanted)
    return RedirectResponse("/queue", 303)


@router.post("/queue/budget")
def budget(
    journal: Open,
    account: Leading,
    budget: Annotated[str, Form(max_length=32)],
    comparison: Annotated[str, Form(max_length=32)],
    demonstration: Annotated[str, Form(max_length=32)],
    currency: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Change what there is to spend, and what work costs."""
    try:
        made = Budget(_amount(budget), _amount(comparison), _amount(demonstration), currency.strip())
    except (ValueError, ConfigError) as error:
        raise Refusal(400, "An amount is a number from 0 on, such as 1200 or 0.75.") from error
    asking.put_budget(journal, made)
    audit.write(journal, account.id, "budget changed", "", budget=made.budget)
    return RedirectResponse("/queue", 303)


@router.post("/queue/asking")
def offered(
    journal: Open,
    account: Leading,
    reasons: Annotated[str, Form(max_length=4000)] = "",
    warned: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Change the reasons that raters choose from, and the topics that carry a warning."""
    asking.put_asking(journal, _lines(reasons), _lines(warned))
    audit.write(journal, account.id, "raters' choices changed", "")
    return RedirectResponse("/queue", 303)


def unqueued(journal: Journal) -> list[tuple[str, int]]:
    """Sources with comparisons that are not in the queue, and how many; not what edits made of themselves."""
    table, task, check = schema.comparison, schema.task, schema.check_item
    query = (
        select(table.c.source, func.count())
        .where(
            ~exists().where(task.c.comparison == table.c.id),
            ~exists().where(check.c.comparison == table.c.id),
            table.c.source != demonstrations.SOURCE,
        )
        .group_by(table.c.source)
        .order_by(func.count().desc())
        .limit(50)
    )
    with journal.reading() as connection:
        return [(source, count) for source, count in connection.execute(query)]


def work(journal: Journal) -> list[Work]:
    """What every person did, those with the most pairs first. Undone and skipped ones are no pairs."""
    judged, written, ranked = schema.judgement, schema.written_answer, schema.ranking
    heirs = select(judged.c.supersedes).where(judged.c.supersedes != "")
    pair = cast(judged.c.verdict != Verdict.SKIP, Integer)
    # Time was spent on what was skipped, too.
    seconds = func.coalesce(judged.c.seconds, 0.0)
    worked = func.sum(func.min(seconds, LONGEST_S) if journal.dialect == "sqlite" else func.least(seconds, LONGEST_S))
    query = (
        select(judged.c.rater, func.sum(pair).label("pairs"), worked.label("seconds"))
        .join(schema.rater, schema.rater.c.id == judged.c.rater)
        .where(schema.rater.c.kind == "person", judged.c.uid.not_in(heirs))
        .group_by(judged.c.rater)
    )
    with journal.reading() as connection:
        rows = {row.rater: row for row in connection.execute(query)}
        answers = _by_rater(connection, written)
        orders = _by_rater(connection, ranked)
    names = {one.rater: one.name for one in people.accounts(journal) if one.rater}
    found = [
        Work(
            rater=rater,
            name=names.get(rater, rater),
            pairs=int(rows[rater].pairs or 0) if rater in rows else 0,
            hours=float(rows[rater].seconds or 0) / 3600 if rater in rows else 0.0,
            written=answers.get(rater, 0),
            rankings=orders.get(rater, 0),
        )
        for rater in {*rows, *answers, *orders}
    ]
    return sorted(found, key=lambda one: (-one.pairs, one.name))


def _figures(found: queue.Progress, done: list[Work], money: Budget) -> list[Figure]:
    left = found.open + found.waiting
    pairs, written = sum(one.pairs for one in done), sum(one.written for one in done)
    shown = [
        figures.count("Can be given now", found.open, f"{number(found.waiting)} more are with raters at the moment."),
        figures.count("Done", found.closed, f"Of {number(found.closed + left)} comparisons in the queue."),
        figures.count("Need an adjudicator", found.adjudication, "Raters split over them; a lead's verdict settles."),
        figures.count("Hours of work", sum(one.hours for one in done), f"{number(pairs)} pairs by {len(done)} people."),
    ]
    if money.comparison or money.demonstration:
        spent = money.spent(pairs, written)
        rest = money.budget - spent
        means = f"{number(pairs)} pairs at {money.comparison:g}, {number(written)} answers at {money.demonstration:g}."
        shown.append(Figure("Spent", f"{spent:,.2f} {money.currency}", "", means))
        if money.budget:
            buys = f"Enough for {number(max(0, rest) // money.comparison)} pairs more." if money.comparison else ""
            shown.append(Figure("Left of the budget", f"{rest:,.2f} {money.currency}", "", buys))
    return shown


def _by_rater(connection: Connection, table: Table) -> dict[str, int]:
    query = select(table.c.rater, func.count()).group_by(table.c.rater)
    return {rater: count for rater, count in connection.execute(query)}


def _amount(text: str) -> float:
    return float(text.strip().replace(",", ".") or 0)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip()[:80] for line in text.splitlines() if line.strip()))[:40]
