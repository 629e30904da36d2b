"""Where raters split: what they said, without names, and what a changed clause touches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select

from palate.core.guidelines import Guideline, changed, clauses
from palate.core.records import Judgement, Verdict
from palate.pages.errors import Refusal
from palate.pages.markdown import safe_html
from palate.pages.templates import render
from palate.preferences.divergence import most_split
from palate.store import schema
from palate.store.journal import Journal
from palate.store.judgements import judgements
from palate.workbench import texts
from palate.workbench.who import Leading, Open

router = APIRouter(include_in_schema=False)
SHOWN = 8


class Split(NamedTuple):
    """A comparison that divides raters, as a page shows it."""

    comparison: str
    votes: str
    prompt: Markup
    first: Markup
    second: Markup
    notes: list[str]


@router.get("/splits")
def page(request: Request, journal: Open, account: Leading) -> Response:
    """The comparisons that divide raters most evenly."""
    votes = request.app.state.gauge.read(journal).votes
    found = most_split(votes, SHOWN)
    return render(request, "splits.html", splits=[split(journal, one.comparison) for one in found])


def split(journal: Journal, comparison: str) -> Split:
    """One of them, with what raters noted.

    Raises:
        Refusal: there is no such comparison.
    """
    found = texts.of(journal, comparison)
    if found is None:
        raise Refusal(404, "There is no such comparison.")
    said = _last(texts.judged(journal, comparison))
    sides = [sum(j.verdict is side for j in said) for side in (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)]
    tie = f", {sides[2]} equal" if sides[2] else ""
    notes = [", ".join((*j.reasons, j.note)).strip(", ") for j in said if j.note or j.reasons]
    return Split(
        comparison,
        f"{sides[0]} for one, {sides[1]} for the other{tie}",
        Markup(texts.asked_html(found.prompt)),
        Markup(safe_html(found.first)),
        Markup(safe_html(found.second)),
        notes,
    )


def shown(journal: Journal, comparison: str) -> Markup:
    """A comparison in short, for the page on which its clause is written."""
    one = split(journal, comparison)
    return Markup(  # made of sanitised parts
        '<section class="panel spaced"><h2>{}</h2><div class="prose">{}</div>'
        '<details><summary>The two answers</summary><div class="columns"><div class="prose">{}</div>'
        '<div class="prose">{}</div></div></details></section>'
    ).format(one.votes, one.prompt, one.first, one.second)


def touched(journal: Journal, old: Guideline, new: Guideline) -> list[str]:
    """Comparisons that a change of clauses touches.

    Those judged under the old version whose judgements name a changed clause, by its title or id, in a reason or
    the note; and those over which raters split under the old version, because the guideline did not decide them.
    """
    ids = set(changed(old.text, new.text))
    if not ids:
        return []
    names = {clause.title.casefold() for text in (old.text, new.text) for clause in clauses(text) if clause.id in ids}
    words = names | ids
    by_comparison: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements(journal):
        if judgement.guideline == old.id:
            by_comparison[judgement.comparison].append(judgement)
    return [
        comparison
        for comparison, said in by_comparison.items()
        if _divides(_last(said)) or any(_names(judgement, words) for judgement in said)
    ]


def _names(judgement: Judgement, words: set[str]) -> bool:
    text = " ".join((*judgement.reasons, judgement.note)).casefold()
    return any(word in text for word in words)


def _divides(said: Sequence[Judgement]) -> bool:
    verdicts = {judgement.verdict for judgement in said}
    return {Verdict.FIRST, Verdict.SECOND} <= verdicts


def _last(said: Sequence[Judgement]) -> list[Judgement]:
    """What each rater said at last."""
    return list({judgement.rater: judgement for judgement in said}.values())


def exists(journal: Journal, comparison: str) -> bool:
    """Whether there is such a comparison."""
    with journal.reading() as connection:
        query = select(schema.comparison.c.id).where(schema.comparison.c.id == comparison)
        return connection.execute(query).first() is not None
