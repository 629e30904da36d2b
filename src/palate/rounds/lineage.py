"""What came of anything, and what anything came from: the points and edges of a project's lineage.

A lineage is a walk over three kinds of edges: keys of the journal's rows, what each dataset holds (`lineage_index`),
and the inputs in manifests (`lineage_artefacts`). Upward is towards what something shaped, from a click to datasets,
reward models, policies and releases; downward is what it came from and what it holds. `lineage_up` and `lineage_down`
walk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import DataError
from palate.core.progress import SILENT, Progress
from palate.rounds.lineage_artefacts import Artefacts
from palate.rounds.lineage_index import Indices
from palate.store import releases, tracing
from palate.store.journal import Journal

LEAST: Final = 6
"""Characters of an id that may stand for all of it."""
FIRST: Final = 100
"""So many of what something holds are shown; the rest is counted."""
_WIDTH: Final = 76


class Node(NamedTuple):
    """A point of the lineage."""

    kind: str
    """One of `tracing.KINDS`, `person`, the kind of an artefact, or `outside` for what is no artefact here."""
    id: str
    line: str = ""
    """What it is, in one line."""


class Edge(NamedTuple):
    """A step from one point to another."""

    source: str
    """Id of where it begins."""
    word: str
    """What the target is to it, such as `holds it`, `made from`, `released as`."""
    node: Node
    how: str = ""
    """What else is to be said, such as why a dataset did not count a judgement."""
    role: str = ""
    """Upward: `learned`, `measured`, `paired` or `held`, see `lineage_up`."""


class Members(NamedTuple):
    """Many of one kind that a point holds."""

    kind: str
    word: str
    """What they are to it, such as `shaped by`."""
    number: int
    first: tuple[Node, ...] = ()
    """At most `FIRST` of them."""


class Side(NamedTuple):
    """A walk in one direction."""

    edges: list[Edge]
    members: list[Members]
    notes: list[str]
    """What must be said beside, such as that nothing was made of it yet."""


class Branch(NamedTuple):
    """An edge as a line of a tree."""

    depth: int
    """1 for edges of the point itself."""
    edge: Edge
    again: bool
    """Its target was told above."""


def branches(start: str, edges: Iterable[Edge]) -> Iterator[Branch]:
    """Edges as a tree: what hangs on a point is told where it is met first."""
    below: dict[str, list[Edge]] = {}
    for edge in edges:
        below.setdefault(edge.source, []).append(edge)
    seen = {start}
    waiting = [(1, edge) for edge in reversed(below.get(start, []))]
    while waiting:
        depth, edge = waiting.pop()
        again = edge.node.id in seen
        yield Branch(depth, edge, again)
        if not again:
            seen.add(edge.node.id)
            waiting += [(depth + 1, one) for one in reversed(below.get(edge.node.id, []))]


class Lineage:
    """A project as `palate trace` sees it; kept open, it reads manifests and indices once.

    Args:
        journal: Of the project.
        workspace: Its artefacts.
        progress: Who listens while a dataset is read for the first time.
    """

    def __init__(self, journal: Journal, workspace: Workspace, progress: Progress = SILENT) -> None:
        self.journal = journal
        self.workspace = workspace
        self.artefacts = Artefacts(workspace)
        self.indices = Indices(workspace, progress)
        self.kept: dict[tuple[int, ...], tuple[Any, Any]] = {}
        """What `lineage_held` has counted, with the indices it is of."""

    def notes(self) -> list[str]:
        """What cannot be told, because it cannot be read."""
        bad = self.artefacts.unreadable | self.indices.unreadable
        return [f"{id} cannot be read: {why}" for id, why in bad.items()]


def find(lineage: Lineage, named: str) -> Node:
    """The point that an id names: in full, by at least six characters that no other begins with, or by an alias.

    `KIND:ID` chooses, where two kinds have one id.

    Raises:
        DataError: nothing is named so, or several things are.
    """
    wanted, id = _kind_of(named)
    found = [node for node in _exact(lineage, id) if wanted in ("", node.kind)]
    if found:
        return found[0]
    near = _near(lineage, id) if len(id) >= LEAST else []
    near = [(kind, one) for kind, one in near if wanted in ("", kind)]
    if len(near) == 1:
        return next(node for node in _exact(lineage, near[0][1]) if node.kind == near[0][0])
    if near:
        raise DataError(
            "several things begin like this", expected="more characters of the id, or KIND:ID",
            found=", ".join(f"{kind} {one}" for kind, one in near[:8]) + (" …" if len(near) > 8 else ""),
        )  # fmt: skip
    starts = _near(lineage, id[: max(LEAST - 2, 1)])[:4] if len(id) >= LEAST else []
    raise DataError(
        "nothing here is named so", found=repr(named),
        expected="an artefact, a release or its alias, a round, or the id of a "
        + ", ".join(kind for kind in tracing.KINDS if kind not in ("release", "round")),
        hint="did you mean " + ", or ".join(f"{kind} {one}" for kind, one in starts) + "?"
        if starts else f"at least {LEAST} characters of an id will do, if no other begins with them",
    )  # fmt: skip


def node(lineage: Lineage, kind: str, id: str) -> Node:
    """A point of which kind and id are known, with its line."""
    if kind in tracing.KINDS:
        row = tracing.get(lineage.journal, kind, id)
        return Node(kind, id, "") if row is None else of_row(row)
    return of_artefact(lineage, id)


def of_row(row: tracing.Row) -> Node:
    """A row of the journal as a point."""
    return Node(row.kind, row.id, _LINES[row.kind](row.row))


def of_artefact(lineage: Lineage, id: str) -> Node:
    """An artefact as a point, or what an input names that is none."""
    manifest = lineage.artefacts.all().get(id)
    if manifest is None:
        return Node("outside", id, "not an artefact of this project")
    return Node(manifest.kind, id, _told(manifest))


def shortened(text: str, width: int = _WIDTH) -> str:
    """A text on one line, no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def asked(messages: str) -> str:
    """The last message of a prompt as it is stored."""
    told = json.loads(messages)
    return str(told[-1]["content"]) if told else ""


def _kind_of(named: str) -> tuple[str, str]:
    kind, colon, id = named.partition(":")
    return (kind, id) if colon and kind in (*tracing.KINDS, "person") else ("", named)


def _exact(lineage: Lineage, id: str) -> list[Node]:
    """Points of just this id or name."""
    if not id:
        return []
    journal = lineage.journal
    if id in lineage.artefacts.all():
        return [of_artefact(lineage, id)]
    with journal.reading():
        found = [of_row(row) for row in tracing.exact(journal, id)]
        if not any(one.kind == "rater" for one in found) and tracing.used(journal, id):
            found.append(Node("person", id, "has used a release"))
        if not found and (release := releases.aliases(journal).get(id)):
            found = [node(lineage, "release", release)]
    return found


def _near(lineage: Lineage, start: str) -> list[tuple[str, str]]:
    """Kinds and ids that begin so; an artefact also by the part of its id behind its kind."""
    manifests = lineage.artefacts.all()
    named = [id for id in manifests if id.startswith(start) or id.rpartition("-")[2].startswith(start)]
    return [*((manifests[id].kind, id) for id in named), *tracing.beginning(lineage.journal, start)]


def _told(manifest: Manifest) -> str:
    facts = [f"{name} {value:,}" for name, value in manifest.facts.items() if type(value) is int][:4]
    when = f", {manifest.made_at[:16].replace('T', ' ')}" if manifest.made_at else ""
    return f"{manifest.made_by}{when}" + (f" · {', '.join(facts)}" if facts else "")


def _judgement(row: Mapping[str, Any]) -> str:
    how = ("", ", slightly", "", ", clearly")[row["strength"]]
    return f"{row['verdict'].replace('_', ' ')}{how} · by {row['rater']} · {row['judged_at'][:16].replace('T', ' ')}"


def _feedback(row: Mapping[str, Any]) -> str:
    note = f" · “{shortened(row['note'], 40)}”" if row["note"] else ""
    return f"{row['kind']}{note} · by {row['person']} · {row['created_at'][:16].replace('T', ' ')}"


def _release(row: Mapping[str, Any]) -> str:
    return f"{row['policy']} · released {row['at'][:16].replace('T', ' ')}"


_LINES: Final[dict[str, Any]] = {
    "judgement": _judgement,
    "ranking": lambda row: f"ranks {row['ranks']} · by {row['rater']} · {row['judged_at'][:16].replace('T', ' ')}",
    "feedback": _feedback,
    "written answer": lambda row: f"“{shortened(row['text'], 50)}” · by {row['rater']}",
    "comparison": lambda row: f"two answers to {row['prompt']}" + (f" · from {row['source']}" if row["source"] else ""),
    "completion": lambda row: f"“{shortened(row['text'], 50)}” · by {row['policy']}",
    "prompt": lambda row: f"“{shortened(asked(row['messages']))}”",
    "slate": lambda row: f"{len(json.loads(row['completions']))} answers to {row['prompt']}",
    "rater": lambda row: row["kind"],
    "release": _release,
    "round": lambda row: f"round {row['number']} · began {row['at'][:16].replace('T', ' ')}",
}
