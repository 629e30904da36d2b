"""Coming in and going out: login, logout, invitations, a new password by link, and `/healthz`."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from palate.core.errors import PalateError
from palate.pages import errors, security, templates
from palate.store import audit, people, sessions
from palate.store.journal import Journal

router = APIRouter(include_in_schema=False)
LEAST = people.LEAST_PASSWORD
Open = Annotated[Journal, Depends(security.journal)]


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """The form; who is logged in already goes on."""
    if request.state.account is not None:
        return RedirectResponse(_inside(next), 303)
    return templates.render(request, "login.html", next=_inside(next), email="", problem="")


@router.post("/login")
def login(
    request: Request,
    journal: Open,
    email: Annotated[str, Form(max_length=320)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Open a session, or say that it was wrong without saying what."""
    attempts = request.app.state.attempts
    keys = (f"address {security.address(request)}", f"name {email.strip().lower()}")
    wait = attempts.wait_s(*keys)
    if wait > 0:
        minutes = math.ceil(wait / 60)
        raise errors.Refusal(
            429,
            f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}.",
            code="too_many_attempts",
            headers={"Retry-After": str(math.ceil(wait))},
        )
    found = people.verify(journal, email, password)
    if found is None:
        attempts.failed(*keys)
        audit.write(journal, "", "login failed", "")
        problem = "E-mail and password do not belong together."
        page = templates.render(request, "login.html", next=_inside(next), email=email, problem=problem)
        page.status_code = 401
        return page
    attempts.succeeded(*keys)
    return _enter(request, journal, found, _inside(next))


@router.post("/logout")
def logout(request: Request, journal: Open) -> Response:
    """Close the session."""
    if request.state.account is not None:
        sessions.close(journal, request.cookies[security.COOKIE])
        audit.write(journal, request.state.account.id, "logout", request.state.account.id)
    reply = RedirectResponse("/login", 303)
    security.forget(reply)
    return reply


@router.get("/welcome/{secret}")
def welcome(request: Request, journal: Open, secret: str) -> Response:
    """What an invitation, or a link for a new password, leads to."""
    found = _invited(journal, secret)
    return _welcome_page(request, found)


@router.post("/welcome/{secret}")
def accept(
    request: Request,
    journal: Open,
    secret: str,
    password: Annotated[str, Form(max_length=1024)],
    name: Annotated[str, Form(max_length=200)] = "",
    email: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """Make the account, or set the new password, and log in."""
    found = _invited(journal, secret)
    try:
        made = people.accept(journal, secret, name=name.strip(), email=email.strip(), password=password)
    except PalateError as error:
        page = _welcome_page(request, found, errors.sentence(error), name, email)
        page.status_code = 400
        return page
    return _enter(request, journal, made, "/")


@router.get("/healthz")
def healthy(journal: Open) -> Response:
    """Whether the journal can be read, for whoever watches the server."""
    try:
        with journal.reading() as connection:
            connection.exec_driver_sql("SELECT 1 FROM prompt LIMIT 1")
    except PalateError as error:
        return JSONResponse({"status": "failing", "journal": error.what}, 503)
    return JSONResponse({"status": "ok"})


def _enter(request: Request, journal: Journal, account: people.Account, next: str) -> Response:
    # A session of its own each time: what an earlier visitor of this browser had is of no use any more.
    if old := request.cookies.get(security.COOKIE):
        sessions.close(journal, old)
    opened = sessions.open(journal, account.id, hours=request.app.state.settings.session_hours)
    audit.write(journal, account.id, "login", account.id)
    reply = RedirectResponse(next, 303)
    security.remember(request, reply, opened.token)
    return reply


def _invited(journal: Journal, secret: str) -> people.Invitation:
    found = people.invitation(journal, secret)
    if found is None:
        raise errors.Refusal(404, "This link was used already, or has run out. Ask for a new one.", code="link")
    return found


def _welcome_page(
    request: Request, found: people.Invitation, problem: str = "", name: str = "", email: str = ""
) -> Response:
    return templates.render(
        request,
        "welcome.html",
        reset=bool(found.account),
        role=found.role,
        email=email or found.email,
        name=name,
        problem=problem,
        least=LEAST,
        path=request.url.path,
    )


def _inside(next: str) -> str:
    """A path of ours: a link must not send people who just logged in to another site."""
    parts = urlsplit(next)
    inside = next.startswith("/") and not next.startswith(("//", "/\\")) and not parts.netloc and "\\" not in next
    return next if inside else "/"
