"""The audit log on a page: who did what to whom, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from palate.pages import security, templates
from palate.store import audit, people
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
SHOWN = 100


@router.get("/audit")
def page(
    request: Request,
    journal: Annotated[Journal, Depends(security.journal)],
    me: Annotated[Account, Depends(security.require("owner"))],
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """A hundred entries, and the way to older ones."""
    entries = audit.read(journal, before=before, most=SHOWN + 1)
    names = {one.id: one.name for one in people.accounts(journal)}
    shown = entries[:SHOWN]
    more = shown[-1].number if len(entries) > SHOWN else 0
    return templates.render(request, "audit.html", entries=shown, names=names, more=more)
