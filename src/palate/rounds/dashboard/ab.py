"""The page on A/B tests: what is tested, what it has come to, and what that means. It ends a test that is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import anyio
import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response

from palate.core.errors import PalateError
from palate.pages import charts, security
from palate.pages.app import NavItem
from palate.pages.templates import number, percent, render, when
from palate.rounds import trial_words, trials
from palate.rounds.trials import OUTCOMES, Look
from palate.store import experiments, releases
from palate.store.journal import Journal
from palate.store.people import Account

log = logging.getLogger("palate.rounds")
NAV: Final = NavItem("A/B tests", "/ab", ("owner", "lead"))
SETTLE_S: Final = 60.0
"""How often a test that is under way is looked at, and ended if its rule says so."""
_POINTS: Final = 120
Leader = Annotated[Account, Depends(security.require("owner", "lead"))]
Open = Annotated[Journal, Depends(security.journal)]


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    watching = asyncio.create_task(_settle(app.state.journal), name="A/B tests")
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


router = APIRouter(include_in_schema=False, lifespan=_watching)


@router.get("/ab")
def page(request: Request, account: Leader, journal: Open) -> Response:
    """The test under way, or the last one, and those before it."""
    every = experiments.every(journal)
    steps = {one.id: experiments.steps(journal, one.id)[-1] for one in every}
    past = [
        (one.name, when(one.at), when(steps[one.id].at), trial_words.ended(steps[one.id]))
        for one in reversed(every)
        if steps[one.id].state != "began"
    ]
    running = next((one for one in every if steps[one.id].state == "began"), None)
    shown = trials.look(journal, running) if running else None
    return render(request, "ab.html", past=past, **(_shown(journal, shown) if shown else {"look": None}))


def _shown(journal: Journal, look: Look) -> dict[str, Any]:
    known = {one.id: one for one in releases.every(journal)}
    aliases = releases.aliases(journal)
    arms = [
        (
            role,
            id,
            known[id].policy,
            ", ".join(name for name, to in aliases.items() if to == id),
            number(people),
            percent(share),
        )
        for role, (id, share), people in zip(("Control", "New"), look.test.arms.items(), look.assigned, strict=True)
    ]
    pace = trial_words.pace(look)
    days = trial_words.left(look) / pace if pace and not math.isnan(pace) else math.nan
    return {
        "look": look,
        "sentence": trial_words.sentence(look),
        "arms": arms,
        "outcome": OUTCOMES[look.plan.outcome],
        "chart": _chart(look),
        "rows": trial_words.rows(look),
        "left": trial_words.left(look),
        "days": "" if math.isnan(days) else number(math.ceil(days)),
        "pace": pace,
    }


def _chart(look: Look) -> str:
    """The interval as it went, people to the right."""
    sequence, n = look.primary.sequence, look.counted
    if n < 2:
        return ""
    places = np.unique(np.linspace(0, n - 1, _POINTS).astype(int))
    # The first few say nothing, and would make the scale theirs.
    within = float(max(sequence.high_N[n // 4], -sequence.low_N[n // 4], 1.5 * look.plan.difference))
    drawn = charts.Band(
        [int(at) + 1 for at in places],
        *(some[places].tolist() for some in (sequence.value_N, sequence.low_N, sequence.high_N)),
    )
    title = f"The difference in points after each person. {trial_words.sentence(look)}"
    return charts.band(title, drawn, within=within, unit=0.01)


async def _settle(journal: Journal) -> None:
    """End the test that is under way once its rule says so."""

    def once() -> None:
        running = experiments.current(journal)
        if running is not None:
            with contextlib.suppress(PalateError):  # another server was faster
                trials.settle(journal, running)

    while True:
        try:
            await anyio.to_thread.run_sync(once)
        except Exception:
            log.exception("the A/B test could not be looked at")
        await asyncio.sleep(SETTLE_S)
