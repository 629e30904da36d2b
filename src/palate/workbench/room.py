"""The rater's room: leases of several comparisons at once, verdicts, undo, drafts and edits.

The same addresses exist twice: under `/rate` for the page, with a session, and under `/api/rate` for programs, with
a token of scope `rate`. A verdict names the lease and the comparison that it is for, and is refused when they do
not belong to each other or to the rater. Sending one twice stores it once.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from palate.core.errors import LeaseLost
from palate.core.guidelines import Guideline
from palate.pages.errors import Refusal
from palate.pages.templates import render
from palate.store import assistance, drafts, feedback, guidelines, onboarding, profiles, queue
from palate.store import rows as stored
from palate.store.journal import Journal
from palate.workbench import asking, desk, learning
from palate.workbench.bodies import Draft, Edit, Leases, Undo, Verdict, Wanted
from palate.workbench.cards import cards
from palate.workbench.scale import SCALE, SKIPS
from palate.workbench.who import Open, Seat, Sitting

router = APIRouter(include_in_schema=False)
work = APIRouter()
"""What page and programs share; `part` mounts it under both addresses."""
ADVICE = "Twelve comparisons with known answers show how the guideline is meant; they take ten minutes."


@router.get("/rate")
def page(request: Request, journal: Open, seat: Sitting) -> Response:
    """The page itself leases nothing: its script does, so that a look costs no comparison."""
    current = guidelines.current(journal)
    return render(
        request,
        "rate.html",
        mode="normal",
        base="/rate",
        advice=_advice(journal, seat, current),
        scale=SCALE,
        skips=SKIPS,
        reasons=asking.asking(journal).reasons,
        guideline=current,
    )


@work.post("/lease")
def lease(request: Request, journal: Open, seat: Sitting, body: Wanted) -> dict[str, Any]:
    """Take comparisons. They are this rater's for fifteen minutes, and longer with a heartbeat.

    Each has its two answers as HTML and as text, in the order in which this rater sees them.
    """
    known = body.known or []
    found = desk.given_again(journal, seat, known) if body.known is not None else []
    if len(found) < body.count:
        found += desk.hand_out(journal, seat, body.count - len(found), request.app.state.policy)
    held = queue.heartbeat(journal, seat.rater, known) if known else []
    helped = assistance.deal(journal, seat.rater, [task.comparison for task in found])
    with journal.reading():
        notes = drafts.of(journal, seat.rater, [task.comparison.id for task in found])
        heard = feedback.context(journal, [task.comparison for task in found])
        current = guidelines.current(journal)
        return {
            "tasks": cards(found, asking.asking(journal), notes, heard, helped),
            "held": held,
            "guideline": current.id if current else "",
            "progress": desk.progress_words(journal, seat.rater),
            "empty": "" if found else desk.why_empty(journal),
        }


@work.post("/heartbeat")
def heartbeat(journal: Open, seat: Sitting, body: Leases) -> dict[str, list[str]]:
    """Keep leases alive; the answer names those that are still held."""
    return {"held": queue.heartbeat(journal, seat.rater, body.leases)}


@work.post("/release")
def release(journal: Open, seat: Sitting, body: Leases) -> dict[str, int]:
    """Give comparisons back unjudged."""
    return {"released": queue.release(journal, seat.rater, body.leases)}


@work.post("/verdict")
def verdict(journal: Open, seat: Sitting, body: Verdict) -> dict[str, Any]:
    """Judge one comparison. When this answers, the judgement is stored for good."""
    try:
        done = desk.judge(journal, seat, body)
    except LeaseLost as lost:
        raise Refusal(409, _plain(lost), code="lease_lost", param="lease") from lost
    if body.note:
        drafts.save(journal, seat.rater, body.comparison, "")  # it has become a note
    return {"stored": done.uid, "progress": desk.progress_words(journal, seat.rater)}


@work.post("/undo")
def undo(journal: Open, seat: Sitting, body: Undo) -> dict[str, Any]:
    """Take a verdict back. The comparison is this rater's again, under a new lease."""
    return {"task": desk.undo(journal, seat, body.uid)}


@work.post("/draft")
def draft(journal: Open, seat: Sitting, body: Draft) -> dict[str, bool]:
    """Keep an unfinished note."""
    drafts.save(journal, seat.rater, body.comparison, body.text)
    return {"kept": True}


@work.post("/edit")
def edit(journal: Open, seat: Sitting, body: Edit) -> dict[str, str]:
    """Keep a better version of one answer: a demonstration, and better than the answer it was made from."""
    try:
        made = desk.edit(journal, seat, body)
    except LeaseLost as lost:
        raise Refusal(409, _plain(lost), code="lease_lost", param="lease") from lost
    return {"stored": made}


@work.post("/decline")
def decline(journal: Open, seat: Sitting, body: Leases) -> dict[str, int]:
    """Give these back, and never be given comparisons of topics with a warning again."""
    _avoid(journal, seat, asking.asking(journal).warned)
    return {"released": queue.release(journal, seat.rater, body.leases)}


@router.post("/rate/avoid")
def avoid(journal: Open, seat: Sitting, topic: Annotated[list[str] | None, Form(max_length=50)] = None) -> Response:
    """Choose the topics with a warning that one is not given; none takes it all back."""
    _avoid(journal, seat, topic or ())
    return RedirectResponse("/coach", 303)


def _avoid(journal: Journal, seat: Seat, topics: Any) -> None:
    profiles.put(journal, stored.raters(journal)[seat.rater], avoids=tuple(topics))


def _advice(journal: Journal, seat: Seat, current: Guideline | None) -> str:
    if not learning.enough(journal):
        return ""
    wanted = current.id if current else ""
    passed = any(one.passed and one.guideline == wanted for one in onboarding.of(journal, seat.rater))
    return "" if passed else ADVICE


def _plain(lost: LeaseLost) -> str:
    return f"{lost.what[:1].upper()}{lost.what[1:]}; your verdict on it was not counted."
