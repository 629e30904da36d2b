"""Writing a demonstration: the answer that one would like to get, as a fact with its author."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import exists, func, select

from palate.core.records import WrittenAnswer
from palate.pages.errors import Refusal
from palate.pages.templates import render
from palate.store import demonstrations, drafts, guidelines, profiles, schema
from palate.store.journal import Journal
from palate.workbench import desk, texts
from palate.workbench.bodies import Answer, Draft
from palate.workbench.who import Open, Sitting

router = APIRouter(include_in_schema=False)


@router.get("/write")
def page(
    request: Request, journal: Open, seat: Sitting, prompt: str = "", after: str = "", stored: str = ""
) -> Response:
    """A prompt to answer: `prompt`, or the one with the fewest written answers, or the one `after` another."""
    chosen = prompt or next_prompt(journal, seat.rater, after)
    asked = texts.prompt(journal, chosen) if chosen else None
    if prompt and asked is None:
        raise Refusal(404, "There is no such prompt.")
    current = guidelines.current(journal)
    return render(
        request,
        "write.html",
        stored=bool(stored),
        prompt=chosen if asked else "",
        prompt_html=Markup(texts.asked_html(asked)) if asked else "",
        draft=drafts.get(journal, seat.rater, chosen) if asked else "",
        guideline=current,
        guideline_id=current.id if current else "",
    )


@router.post("/write/answer")
def store(journal: Open, seat: Sitting, body: Answer) -> dict[str, str]:
    """Store an answer."""
    if texts.prompt(journal, body.prompt) is None:
        raise Refusal(404, "There is no such prompt.", param="prompt")
    demonstrations.add(
        journal,
        WrittenAnswer(
            uid=body.uid,
            prompt=body.prompt,
            text=body.text.strip(),
            rater=seat.rater,
            guideline=desk.known_guideline(journal, body.guideline),
            seconds=body.seconds,
        ),
    )
    drafts.save(journal, seat.rater, body.prompt, "")
    return {"stored": body.uid}


@router.post("/write/draft")
def draft(journal: Open, seat: Sitting, body: Draft) -> dict[str, bool]:
    """Keep what is written so far."""
    drafts.save(journal, seat.rater, body.comparison, body.text)
    return {"kept": True}


def next_prompt(journal: Journal, rater: str, after: str = "") -> str:
    """The prompt with the fewest written answers that this rater has not answered; "" when there is none."""
    prompt, written = schema.prompt, schema.written_answer
    mine = exists().where(written.c.prompt == prompt.c.id, written.c.rater == rater, written.c.original == "")
    times = select(func.count()).where(written.c.prompt == prompt.c.id).scalar_subquery()
    query = select(prompt.c.id).where(~mine)
    if avoided := profiles.avoided(journal, rater):
        query = query.where(prompt.c.kind.not_in(avoided))
    later = select(prompt.c.seq).where(prompt.c.id == after).scalar_subquery()
    with journal.reading() as connection:
        if after:
            found = connection.execute(query.where(prompt.c.seq > later).order_by(prompt.c.seq).limit(1)).scalar()
            if found:
                return str(found)
        found = connection.execute(query.where(prompt.c.id != after).order_by(times, prompt.c.seq).limit(1)).scalar()
    return str(found or "")
