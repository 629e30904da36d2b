"""What people say of the answers, for those who run this: thumbs with their denominators, notes and reports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from palate.pages import security
from palate.pages.templates import render
from palate.preferences import thumbs
from palate.store import answers, feedback
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
Leader = Annotated[Account, Depends(security.require("owner", "lead"))]
Open = Annotated[Journal, Depends(security.journal)]
MOST = 100


@router.get("/feedback")
def page(request: Request, account: Leader, journal: Open) -> Response:
    """Counts by policy, then the latest reports and notes."""
    said = [one for one in feedback.every(journal) if one.kind == "report" or one.note][::-1][:MOST]
    found = answers.find(journal, {one.completion for one in said})
    told = [(one, found[one.completion]) for one in said if one.completion in found]
    return render(request, "feedback.html", policies=thumbs.by_policy(journal), told=told, most=MOST)
