"""`/trace`: what anything shaped and what it came from, with a picture of the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from palate.core.errors import DataError
from palate.pages import security
from palate.pages.errors import Refusal, sentence
from palate.pages.templates import render
from palate.rounds.lineage import Branch, Edge, Lineage, Node, branches, find
from palate.rounds.lineage_down import down
from palate.rounds.lineage_up import up
from palate.store import releases, tracing
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
Leading = Annotated[Account, Depends(security.require("owner", "lead"))]
_STAGES: Final = (
    ("Clicks", (*tracing.CLICKS, "rater", "person")),
    ("Pairs and answers", ("comparison", "prompt", "completion", "slate")),
    ("Datasets", ("dataset", "comparisons")),
    ("Reward models", ("reward", "ensemble")),
    ("Policies", ("policy", "model", "base")),
    ("Releases", ("release",)),
)
_BOXES: Final = 4
"""In a column of the picture; the rest is counted."""
_LATEST: Final = 8


class Stage(NamedTuple):
    """A column of the picture."""

    title: str
    nodes: list[Node]
    more: int
    """Beside those."""


async def lineage(request: Request) -> Lineage:
    """The project's, as a dependency; it waits for nothing, so it needs no thread."""
    found: Lineage = request.app.state.lineage
    return found


Traced = Annotated[Lineage, Depends(lineage)]


@router.get("/trace")
def search(request: Request, project: Traced, account: Leading, id: str = "") -> Response:
    """The field, and what was made last."""
    if id.strip():
        return RedirectResponse(f"/trace/{quote(id.strip(), safe=':')}", 303)
    made = sorted(project.artefacts.all().items(), key=lambda one: one[1].made_at, reverse=True)[:_LATEST]
    latest = [Node(manifest.kind, name, f"{manifest.made_by} · {manifest.made_at[:16]}") for name, manifest in made]
    named = releases.aliases(project.journal)
    return render(request, "trace_search.html", latest=latest, aliases=named, link=link)


@router.get("/trace/{id:path}")
def page(request: Request, project: Traced, account: Leading, id: str) -> Response:
    """One point, in both directions."""
    try:
        node = find(project, id)
    except DataError as error:
        raise Refusal(404, sentence(error), code="unknown") from error
    above, below = up(project, node), down(project, node)
    told: dict[str, list[Branch]] = {
        "up": list(branches(node.id, above.edges)),
        "down": list(branches(node.id, below.edges)),
    }
    stages = picture(node, [*above.edges, *below.edges])
    return render(request, "trace.html", node=node, up=above, down=below, told=told, stages=stages, link=link)


def picture(node: Node, edges: Iterable[Edge]) -> list[Stage]:
    """The way from clicks to releases: what of a trace lies where, the point itself first."""
    nodes = list({one.id: one for one in (node, *(edge.node for edge in edges if edge.role != "held"))}.values())
    stages = []
    for title, kinds in _STAGES:
        here = [one for one in nodes if one.kind in kinds]
        if here:
            stages.append(Stage(title, here[:_BOXES], max(len(here) - _BOXES, 0)))
    return stages


def link(node: Node) -> str:
    """Where a point's page is; "" of what has none."""
    if node.kind in ("outside", "answer", "exposure"):
        return ""
    # An edit in a chat is a feedback and an answer of one id.
    name = f"{node.kind}:{node.id}" if node.kind == "written answer" else node.id
    return f"/trace/{quote(name, safe=':')}"
