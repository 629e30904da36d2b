"""Other people's accounts: invitations, roles, links for a new password, ending sessions, deactivation.

Leads manage raters. Owners manage everybody but themselves, so that a project never loses its last owner by a slip.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from palate.pages import security, templates
from palate.pages.errors import Refusal
from palate.store import audit, people, sessions, tokens
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
ROLES = ("owner", "lead", "rater")
"""Of people; programs have accounts of their own kind."""
INVITATION_HOURS = 7 * 24.0
RESET_HOURS = 24.0
Open = Annotated[Journal, Depends(security.journal)]
Leading = Annotated[Account, Depends(security.require("owner", "lead"))]
Owning = Annotated[Account, Depends(security.require("owner"))]
Id = Annotated[str, Form(max_length=64)]


@router.get("/accounts")
def page(request: Request, journal: Open, me: Leading) -> Response:
    """Everybody, and the form that invites."""
    return _page(request, journal, me)


@router.post("/accounts/invite")
def invite(
    request: Request,
    journal: Open,
    me: Leading,
    role: Annotated[str, Form(max_length=16)],
    email: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """A link that makes an account, once."""
    if role not in _invitable(me):
        raise Refusal(403, f"You may invite {' or '.join(_invitable(me))}.", code="role")
    made = people.invite(journal, role, email=email.strip(), inviter=me.id, hours=INVITATION_HOURS)
    audit.write(journal, me.id, "invited", "", role=role)
    return _link(request, journal, me, made, f"An invitation for a new {role}.")


@router.post("/accounts/app")
def app(
    request: Request, journal: Open, me: Owning, name: Annotated[str, Form(min_length=1, max_length=80)]
) -> Response:
    """An account for a program, and its token."""
    made = people.create_account(journal, name=name.strip(), role="app")
    secret = tokens.create(journal, made.id, ("chat", "feedback"), name=name.strip())
    audit.write(journal, me.id, "app made", made.id)
    return _page(request, journal, me, link=secret, link_for=f"The token of {made.name}.")


@router.post("/accounts/reset")
def reset(request: Request, journal: Open, me: Leading, id: Id) -> Response:
    """A link that sets a new password, once."""
    one = _managed(journal, me, id)
    made = people.invite_reset(journal, one.id, inviter=me.id, hours=RESET_HOURS)
    audit.write(journal, me.id, "password link made", one.id)
    return _link(request, journal, me, made, f"A link for {one.name} to set a new password.")


@router.post("/accounts/role")
def role(journal: Open, me: Owning, id: Id, role: Annotated[str, Form(max_length=16)]) -> Response:
    """Another role. Sessions end, so that what was allowed before is allowed no more."""
    one = _managed(journal, me, id)
    if role not in ROLES:
        raise Refusal(400, f"A role is one of {', '.join(ROLES)}.", param="role")
    people.set_role(journal, one.id, role)
    sessions.close_all(journal, one.id)
    audit.write(journal, me.id, "role changed", one.id, old=one.role, new=role)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/sessions")
def end_sessions(journal: Open, me: Leading, id: Id) -> Response:
    """End all their sessions."""
    one = _managed(journal, me, id)
    sessions.close_all(journal, one.id)
    audit.write(journal, me.id, "sessions ended", one.id)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/deactivate")
def deactivate(journal: Open, me: Leading, id: Id) -> Response:
    """Shut an account: sessions and tokens end at once, what was judged stays."""
    one = _managed(journal, me, id)
    people.deactivate(journal, one.id)
    audit.write(journal, me.id, "deactivated", one.id)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/activate")
def activate(journal: Open, me: Leading, id: Id) -> Response:
    """Open it again."""
    one = _managed(journal, me, id)
    people.activate(journal, one.id)
    audit.write(journal, me.id, "activated", one.id)
    return RedirectResponse("/accounts", 303)


def may_manage(me: Account, other: Account) -> bool:
    """Whether one may change the account of another."""
    if me.id == other.id:
        return False
    return me.role == "owner" or (me.role == "lead" and other.role == "rater")


def _invitable(me: Account) -> tuple[str, ...]:
    return ROLES if me.role == "owner" else ("rater",)


def _managed(journal: Journal, me: Account, id: str) -> Account:
    found = next((one for one in people.accounts(journal) if one.id == id), None)
    if found is None or not may_manage(me, found):
        # One message for both, so that ids cannot be probed.
        raise Refusal(403, "There is no account of this id that you may change.", code="role")
    return found


def _link(request: Request, journal: Journal, me: Account, secret: str, words: str) -> Response:
    link = str(request.url_for("welcome", secret=secret))
    until = people.invitation(journal, secret)
    return _page(request, journal, me, link=link, link_for=words, until=until.expires_s if until else None)


def _page(
    request: Request, journal: Journal, me: Account, *, link: str = "", link_for: str = "", until: float | None = None
) -> Response:
    found = people.accounts(journal)
    return templates.render(
        request,
        "accounts.html",
        people=found,
        manageable={one.id for one in found if may_manage(me, one)},
        roles=ROLES,
        invitable=_invitable(me),
        link=link,
        link_for=link_for,
        link_until=templates.when(until) if until else "",
        problem="",
    )
