"""Pages about rounds, releases, A/B tests and lineage as one part of the application."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Final

from fastapi import APIRouter, FastAPI

from palate.core.artefacts import Workspace
from palate.pages.app import EVERYBODY, LEADERS, NavItem, Part
from palate.rounds.dashboard import ab, later, releases, trace, turns
from palate.rounds.lineage import Lineage

_HERE = Path(__file__).parent
NAV: Final[tuple[NavItem, ...]] = (
    turns.NAV,
    releases.NAV,
    ab.NAV,
    NavItem("Trace", "/trace", LEADERS),
    NavItem("Your clicks", "/later", EVERYBODY),
)
_PAGES: Final[tuple[ModuleType, ...]] = (turns, releases, ab, trace, later)
"""Each has a `router`."""


def part(workspace: Workspace) -> Part:
    """What `palate.pages.app.create` mounts.

    Args:
        workspace: The project's artefacts and runs; pages find it as `app.state.workspace`.
    """
    router = APIRouter(include_in_schema=False)
    for module in _PAGES:
        router.include_router(module.router)

    def prepare(app: FastAPI) -> None:
        app.state.workspace = workspace
        app.state.lineage = Lineage(app.state.journal, workspace)

    return Part("rounds", router, NAV, templates=_HERE / "templates", static=_HERE / "static", prepare=prepare)
