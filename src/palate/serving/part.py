"""What `palate serve` mounts: the API, the chat pages, and the generator behind both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI

from palate.guardrails.guard import Guardrails
from palate.pages.app import NavItem, Part
from palate.serving import attack, chat, completions, feedback_api, feedback_page, guard_page
from palate.serving.following import Source, follow
from palate.serving.supervisor import Settings
from palate.serving.swapping import Swapping, fixed

EVERYBODY = ("owner", "lead", "rater")
LEADERS = ("owner", "lead")
_HERE = Path(__file__).parent


class _Fresh:
    """What the page on which findings are looked at can offer, where there is a model."""

    path = "/attack/fresh"

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @property
    def policies(self) -> list[str]:
        """Names that answer at present."""
        return list(self._app.state.generator.settings.policies)


def part(settings: Settings, guardrails: Guardrails | None = None, releases: Source | None = None) -> Part:
    """The API and the chat, with a generator that lives as long as the application.

    Args:
        settings: Which policies answer, and how; with the reward model that the guardrails ask.
        guardrails: What looks at questions and answers; None: nothing does.
        releases: What is to answer in place of that, where names of releases are followed.

    Raises:
        PalateError: a release cannot be served.
    """
    # In this order: a name that is given meanwhile is followed a moment later.
    seen = releases.moved() if releases else 0
    wanted = releases.wanted() if releases else fixed(settings, guardrails)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.generator = swapping = Swapping(settings, wanted)
        await swapping.start()
        following = asyncio.create_task(follow(swapping, releases, seen=seen)) if releases else None
        try:
            yield
        finally:
            if following is not None:
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
            await swapping.close()

    router = APIRouter(lifespan=lifespan)
    parts = (completions, feedback_api, chat, attack, feedback_page, guard_page)
    for one in parts:
        router.include_router(one.router)
    nav = (
        NavItem("Chat", "/chat", EVERYBODY),
        NavItem("Attack", "/attack", EVERYBODY),
        NavItem("Feedback", "/feedback", LEADERS),
        NavItem("Guardrails", "/guardrails", LEADERS),
    )

    def prepare(app: FastAPI) -> None:
        app.state.fresh_drafts = _Fresh(app)

    return Part("serving", router, nav, templates=_HERE / "templates", static=_HERE / "static", prepare=prepare)
