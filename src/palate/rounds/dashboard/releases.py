"""Releases as leads see them: which have names, who gave them and why, what the server answers with, and each card."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from palate.core.artefacts import Workspace
from palate.core.errors import MissingArtefact
from palate.pages import security
from palate.pages.app import LEADERS, NavItem
from palate.pages.templates import render
from palate.rounds import model_card, releasing
from palate.serving.swapping import State, Swapping
from palate.store import people, releases
from palate.store.journal import Journal
from palate.store.people import Account
from palate.store.releases import ALIASES, Release

router = APIRouter()
NAV: Final = NavItem("Releases", "/releases", LEADERS)
SHOWN: Final = 50
"""Steps of the history, the latest first."""
Leader = Annotated[Account, Depends(security.require(*LEADERS))]
Open = Annotated[Journal, Depends(security.journal)]
Name = Annotated[str, Form(max_length=64)]
Why = Annotated[str, Form(max_length=2000)]


class Step(NamedTuple):
    """A name was given, or taken away."""

    alias: str
    release: str
    why: str
    who: str
    at: str


class Naming(NamedTuple):
    """A name that is in force."""

    alias: str
    release: Release
    since: str
    back: str
    """Release that a rollback would go to; "" when there is none."""


@router.get("/releases")
def page(request: Request, journal: Open, account: Leader, done: str = "") -> Response:
    """The names, the releases, and the history."""
    history = releases.history(journal)
    names = {one.id: one.name for one in people.accounts(journal)}
    lines = releasing.lines(journal, _workspace(request))
    lines.reverse()
    return render(
        request,
        "releases.html",
        lines=lines,
        naming=_naming(journal, [line.release for line in lines]),
        steps=[
            Step(one.alias, one.release, one.why, names.get(one.actor, one.actor), one.at)
            for one in reversed(history[-SHOWN:])
        ],
        aliases=list(dict.fromkeys((*ALIASES, *(one.alias for one in history)))),
        answering=_answering(request),
        said=_SAID.get(done, ""),
    )


_SAID: Final = {
    "named": "The name is given. A server that serves it swaps within seconds, and cuts no answer off.",
    "back": "Rolled back. A server that serves the name swaps within seconds, and cuts no answer off.",
    "unnamed": "The name is taken away.",
}
"""What is said after a click."""


@router.get("/releases/{id}")
def card(request: Request, journal: Open, account: Leader, id: str) -> Response:
    """A release's model card, with what is known today; where its policy is gone, as it was kept."""
    found = releases.get(journal, id)
    workspace = _workspace(request)
    try:
        text, kept = model_card.write(journal, workspace, releasing.described(found)), False
    except MissingArtefact:
        text, kept = (workspace.path(found.card) / model_card.CARD).read_text(encoding="utf-8"), True
    return render(request, "release.html", release=found, text=model_card.body(text), kept=kept)


@router.post("/releases/name")
def name(journal: Open, account: Leader, alias: Name, release: Name, why: Why = "") -> Response:
    """Give a name."""
    releasing.name(journal, alias.strip(), release, why=why, actor=account.id)
    return RedirectResponse("/releases?done=named", 303)


@router.post("/releases/rollback")
def rollback(request: Request, journal: Open, account: Leader, alias: Name, why: Why = "") -> Response:
    """Give a name back to the release that had it before."""
    releasing.back(journal, _workspace(request), alias, why=why, actor=account.id)
    return RedirectResponse("/releases?done=back", 303)


@router.post("/releases/unname")
def unname(journal: Open, account: Leader, alias: Name, why: Why = "") -> Response:
    """Take a name away."""
    releasing.take_away(journal, alias, why=why, actor=account.id)
    return RedirectResponse("/releases?done=unnamed", 303)


def _naming(journal: Journal, known: list[Release]) -> list[Naming]:
    found = {one.id: one for one in known}
    shown = []
    for alias, id in releases.aliases(journal).items():
        history = releases.history(journal, alias)
        road = releasing.way_back(history)
        shown.append(Naming(alias, found[id], history[-1].at, road[-1] if road else ""))
    return shown


def _answering(request: Request) -> State | None:
    """What this server's generator is doing; None where it has none, or does not follow releases."""
    served: Any = getattr(request.app.state, "generator", None)
    return served.state if isinstance(served, Swapping) else None


def _workspace(request: Request) -> Workspace:
    found: Workspace = request.app.state.workspace
    return found
