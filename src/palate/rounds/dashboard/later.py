"""`/later`: your click, later. A rater sees their own, and nobody else's; a lead sees any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.templates import render
from palate.rounds import later
from palate.rounds.dashboard.trace import Traced, link
from palate.rounds.fresh import Answered, Fresh
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
Judging = Annotated[Account, Depends(security.require("owner", "lead", "rater"))]
_LEADERS: Final = ("owner", "lead")
_PAGE: Final = 25


@router.get("/later")
def page(request: Request, project: Traced, account: Judging, who: str = "", before: str = "") -> Response:
    """What a person did, with what became of it."""
    if who not in ("", account.rater) and account.role not in _LEADERS:
        raise Refusal(404, "There is no such page.", code="unknown")
    person = who or account.rater
    found = later.clicks(project, person, before=before, most=_PAGE)
    older = found[-1].at if len(found) >= _PAGE - 5 else ""
    own = person == account.rater
    return render(
        request,
        "later.html",
        clicks=found,
        older=older,
        who="" if own else person,
        own=own,
        address=address,
        quote=quote,
    )


@router.get("/later/{uid:path}")
def story(request: Request, project: Traced, account: Judging, uid: str) -> Response:
    """The story of one click."""
    row = later.get(project, uid)
    # Whether there is such a click is nobody else's business either.
    if row is None or (later.owner(row) != account.rater and account.role not in _LEADERS):
        raise Refusal(404, "There is no such click of yours.", code="unknown")
    told = later.story(project, row)
    leads = account.role in _LEADERS
    return render(
        request, "later_one.html", story=told, fresh=told.fresh, scores=_scores(told.fresh), leads=leads, link=link,
        own=later.owner(row) == account.rater, address=address, names=_names(told),
    )  # fmt: skip


def address(uid: str) -> str:
    """The page of a click."""
    return f"/later/{quote(uid, safe='')}"


def _names(story: later.Story) -> dict[str, str]:
    """What policies are called here."""
    new = "the new release" if story.release else "the new policy, which is not released yet"
    return {story.old: "the old policy", story.new: new}


def _scores(found: Fresh | None) -> Mapping[str, Any]:
    """Mean scores of this prompt's answers, and of all prompts together; empty where none were scored."""
    if found is None or not found.reward:
        return {}
    sides = {
        "liked": [one for one in found.judged if one.liked], "old": list(found.old), "new": list(found.new),
    }  # fmt: skip
    here = {name: (_mean(some), len(some)) for name, some in sides.items() if some}
    return {"here": here, "prompts": found.facts.get("prompts", 0), "all": found.facts}


def _mean(some: Sequence[Answered]) -> float:
    return fmean(one.score for one in some if one.score is not None)
