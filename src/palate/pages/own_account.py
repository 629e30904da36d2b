"""One's own account: password, sessions elsewhere, tokens for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from palate.core.errors import PalateError
from palate.pages import errors, security, templates
from palate.store import audit, people, sessions, tokens
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
SCOPES = (
    ("chat", "chat with a release", ("owner", "lead", "app")),
    ("feedback", "send feedback", ("owner", "lead", "app")),
    ("rate", "judge comparisons", ("owner", "lead", "rater")),
)
"""What a token may do, in words, and whose tokens may."""
Open = Annotated[Journal, Depends(security.journal)]
Me = Annotated[Account, Depends(security.account)]


@router.get("/account")
def page(request: Request, journal: Open, me: Me) -> Response:
    """The page."""
    return _page(request, journal, me)


@router.post("/account/password")
def password(
    request: Request,
    journal: Open,
    me: Me,
    old: Annotated[str, Form(max_length=1024)],
    password: Annotated[str, Form(max_length=1024)],
) -> Response:
    """A new password; every other session ends, because someone else may have had the old one."""
    attempts, key = request.app.state.attempts, f"account {me.id}"
    if attempts.wait_s(key) > 0:
        raise errors.Refusal(429, "Too many attempts. Try again in a few minutes.", code="too_many_attempts")
    if people.verify(journal, me.email, old) is None:
        attempts.failed(key)
        return _page(request, journal, me, problem="The password until now is not right.")
    try:
        people.set_password(journal, me.id, password)
    except PalateError as error:
        return _page(request, journal, me, problem=errors.sentence(error))
    attempts.succeeded(key)
    sessions.close_all(journal, me.id, but=request.cookies[security.COOKIE])
    audit.write(journal, me.id, "password changed", me.id)
    return _page(request, journal, me, notice="The password is changed, and your other sessions have ended.")


@router.post("/account/sessions")
def end_sessions(request: Request, journal: Open, me: Me) -> Response:
    """End every session but this one."""
    sessions.close_all(journal, me.id, but=request.cookies[security.COOKIE])
    audit.write(journal, me.id, "sessions ended", me.id)
    return RedirectResponse("/account", 303)


@router.post("/account/tokens")
def make_token(
    request: Request, journal: Open, me: Me, scope: Annotated[list[str] | None, Form(max_length=10)] = None
) -> Response:
    """A token, shown this once."""
    allowed = {name for name, _ in _scopes(me)}
    wanted = [name for name in scope or () if name in allowed]
    if not wanted:
        return _page(request, journal, me, problem="Say what the token may do.")
    secret = tokens.create(journal, me.id, wanted)
    audit.write(journal, me.id, "token made", me.id, scopes=", ".join(wanted))
    return _page(request, journal, me, secret=secret)


@router.post("/account/tokens/revoke")
def revoke_token(journal: Open, me: Me, token: Annotated[str, Form(max_length=80)]) -> Response:
    """Revoke one of one's own."""
    if token not in {one.id for one in tokens.of(journal, me.id)}:
        raise errors.Refusal(404, "You have no such token.")
    tokens.revoke(journal, token)
    audit.write(journal, me.id, "token revoked", me.id)
    return RedirectResponse("/account", 303)


def _scopes(me: Account) -> list[tuple[str, str]]:
    return [(name, words) for name, words, roles in SCOPES if me.role in roles]


def _page(
    request: Request, journal: Journal, me: Account, *, problem: str = "", secret: str = "", notice: str = ""
) -> Response:
    page = templates.render(
        request,
        "account.html",
        problem=problem,
        secret=secret,
        notice=notice,
        sessions=sessions.count(journal, me.id),
        scopes=_scopes(me),
        tokens=tokens.of(journal, me.id),
        least=people.LEAST_PASSWORD,
    )
    if problem:
        page.status_code = 400
    return page
