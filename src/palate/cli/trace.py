"""`palate trace ID`: what something shaped, and what it came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from palate.cli.live import Live
from palate.cli.project import opened
from palate.core.artefacts import Workspace
from palate.core.progress import SILENT
from palate.rounds import lineage_down
from palate.rounds.lineage import Edge, Lineage, Members, Node, Side, branches, find
from palate.rounds.lineage_down import down as down_
from palate.rounds.lineage_up import up as up_

_NAMED = 5
"""Of what is held, in the tree; `--all` prints the rest."""


def trace(
    id: str,
    /,
    *,
    up: Annotated[bool, Parameter(negative=())] = False,
    down: Annotated[bool, Parameter(negative=())] = False,
    all: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    out: Path = Path(),
    database: str = "",
) -> None:
    """Say what anything shaped and what it came from: a click, a rater, an answer, a dataset, a model, a release.

    Parameters
    ----------
    id
        Of a judgement, ranking, feedback or written answer, of a rater, comparison, prompt or completion, of a dataset,
        reward model, policy or any other artefact, of a release or its alias, or of a round. At least six characters
        will do, if no other id begins with them. `KIND:ID` chooses, where two kinds have one id.
    up
        Only what it shaped.
    down
        Only what it came from and holds.
    all
        Print everything that it holds, a line each, as it is found.
    json
        Print one JSON object; with --all, one a line.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        lineage = Lineage(journal, Workspace(out), SILENT if json or all else Live())
        node = find(lineage, id)
        if all:
            _stream(lineage, node, json)
            return
        sides = {"up": up_(lineage, node)} if up or not down else {}
        sides |= {"down": down_(lineage, node)} if down or not up else {}
        if json:
            _print(as_json(node, sides))
            return
        for line in tree(node, sides):
            print(line)


def _stream(lineage: Lineage, node: Node, as_lines: bool) -> None:
    """Everything that a point holds; a reader who has seen enough may hang up."""
    try:
        for one, word in lineage_down.stream(lineage, node):
            if as_lines:
                _print({"kind": one.kind, "id": one.id, "line": one.line, "word": word})
            else:
                print(f"{word}\t{one.kind}\t{one.id}\t{one.line}")
    except BrokenPipeError:
        sys.stderr.close()  # else the interpreter complains once more at its end


def _print(told: object) -> None:
    print(json.dumps(told, ensure_ascii=False))


def as_json(node: Node, sides: dict[str, Side]) -> dict[str, Any]:
    """A trace as one object."""
    told = {
        name: {
            "edges": [{**edge._asdict(), "node": edge.node._asdict()} for edge in side.edges],
            "members": [{**one._asdict(), "first": [n._asdict() for n in one.first]} for one in side.members],
            "notes": side.notes,
        }
        for name, side in sides.items()
    }
    return {"node": node._asdict(), **told}


def tree(node: Node, sides: dict[str, Side]) -> Iterator[str]:
    """A trace as lines."""
    yield _named(node)
    titles = {"up": "what it shaped", "down": "what it came from and holds"}
    for name, side in sides.items():
        yield ""
        yield titles[name]
        yield from _branches(node.id, side.edges)
        for one in side.members:
            yield from _members(one)
        yield from (f"  note: {note}" for note in side.notes)


def _branches(start: str, edges: Iterable[Edge]) -> Iterator[str]:
    for depth, edge, again in branches(start, edges):
        how = f" ({edge.how})" if edge.how else ""
        yield f"{'  ' * depth}{edge.word}: {_named(edge.node, short=again)}{how}"


def _members(one: Members) -> Iterator[str]:
    many = {"feedback": "signals of feedback"}.get(one.kind, f"{one.kind}s")
    yield f"  {one.number:,} {one.kind if one.number == 1 else many} {one.word}"
    for node in one.first[:_NAMED]:
        yield f"    {_named(node)}"
    if one.first and one.number > _NAMED:
        yield f"    and {one.number - min(_NAMED, len(one.first)):,} more; --all prints them"


def _named(node: Node, *, short: bool = False) -> str:
    # An artefact's id says its kind.
    name = node.id if node.id.startswith(f"{node.kind}-") or node.kind == "outside" else f"{node.kind} {node.id}"
    return f"{name}, see above" if short else f"{name} · {node.line}" if node.line else name
