"""What something came from, and what it holds: exact counts, the first hundred, and all as a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from palate.core.authors import WITHHELD
from palate.rounds import lineage_held as held_
from palate.rounds.lineage import FIRST, Edge, Lineage, Members, Node, Side, node, of_artefact, of_row
from palate.store import rounds, taints, tracing


def down(lineage: Lineage, start: Node) -> Side:
    """What a point came from, and what it holds."""
    with lineage.journal.reading():
        edges = list(dict.fromkeys(_edges(lineage, start)))
        members = [*_hanging(lineage, start), *held_.members(lineage, datasets_of(lineage, start))]
        ids = {start.id, *(edge.node.id for edge in edges)}
        bad = [one for one in taints.every(lineage.journal) if one.artefact in ids]
        told = list(dict.fromkeys(f"{one.artefact} is tainted: {one.because}" for one in bad))
        return Side(edges, members, [*told, *lineage.notes()])


def stream(lineage: Lineage, start: Node) -> Iterator[tuple[Node, str]]:
    """Everything that a point holds, one after the other, each with a word; nothing is gathered before."""
    for kind, of, word in _HANGING.get(start.kind, _MADE if _artefacts(lineage, start) else ()):
        for row in tracing.stream(lineage.journal, kind, of, start.id):
            yield _node(row), word
    if start.kind == "prompt":
        yield from ((of_row(row), "asked it") for row in tracing.comparisons_on(lineage.journal, start.id))
    datasets = datasets_of(lineage, start)
    yield from held_.judgements(lineage, datasets)
    yield from ((one, "row") for one in held_.pairs(lineage, datasets))
    yield from ((one, "row") for one in held_.texts(lineage, datasets))


def datasets_of(lineage: Lineage, start: Node) -> list[str]:
    """Datasets that shaped a point, the nearest first; not those of which nothing but prompts was used."""
    found = _artefacts(lineage, start)
    manifests = lineage.artefacts.all()
    whole = lineage.artefacts.ancestors(found).whole if found else []
    return [id for id in whole if id in manifests and manifests[id].kind == "dataset"]


def _artefacts(lineage: Lineage, start: Node) -> list[str]:
    """The artefacts at which the walk over manifests begins."""
    if start.kind == "release":
        row = tracing.get(lineage.journal, "release", start.id)
        return [row.row["policy"]] if row else []
    if start.kind == "completion":
        row = tracing.get(lineage.journal, "completion", start.id)
        return [_policy(row.row["policy"])] if row else []
    if start.kind == "round":
        steps = rounds.steps(lineage.journal, start.id)
        return list(dict.fromkeys(step.artefact for step in steps if step.artefact))
    return [start.id] if start.id in lineage.artefacts.all() else []


def _edges(lineage: Lineage, start: Node) -> Iterator[Edge]:
    step = _STEPS.get(start.kind)
    if step is not None:
        yield from step(lineage, start)
    if start.kind in ("release", "completion", "round") or start.id in lineage.artefacts.all():
        reached = lineage.artefacts.ancestors(_artefacts(lineage, start))
        asked = set(reached.asked)
        for edge in reached.edges:
            how = f"as {edge.role}"
            how += ", of which only prompts were used" if edge.source in asked else ""
            yield Edge(edge.id, "made from", of_artefact(lineage, edge.source), how)


def _rows(lineage: Lineage, source: str, told: Sequence[tuple[str, str, str]]) -> Iterator[Edge]:
    """Edges to rows of the journal: a word, a kind and an id each; those without an id are left out."""
    for word, kind, id in told:
        if id:
            yield Edge(source, word, node(lineage, kind, id))


def _judgement(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "judgement", start.id)
    assert row is not None
    said = row.row
    later = tracing.superseding(lineage.journal, start.id)
    told = [("given by", "rater", said["rater"]), ("corrects", "judgement", said["supersedes"])]
    told += [("corrected by", "judgement", later), ("judges", "comparison", said["comparison"])]
    yield from _rows(lineage, start.id, told)
    yield from _comparison(lineage, node(lineage, "comparison", said["comparison"]))


def _comparison(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "comparison", start.id)
    assert row is not None
    shown = row.row
    yield from _rows(lineage, start.id, [("asks", "prompt", shown["prompt"])])
    for word, id in (("shows first", shown["first"]), ("shows second", shown["second"])):
        yield from _rows(lineage, start.id, [(word, "completion", id)])
        yield from _written_by(lineage, id)


def _written_by(lineage: Lineage, completion: str) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "completion", completion)
    assert row is not None
    yield Edge(completion, "written by", _author(lineage, row.row["policy"]))


def _author(lineage: Lineage, policy: str) -> Node:
    if policy.startswith("person:"):
        return node(lineage, "rater", policy.removeprefix("person:"))
    id = _policy(policy)
    found = of_artefact(lineage, id)
    return found if found.kind != "outside" else found._replace(line="who wrote it is no artefact of this project")


def _policy(policy: str) -> str:
    """The artefact behind what a completion says of its author."""
    if policy.startswith(WITHHELD):
        return policy.removeprefix(WITHHELD)
    return policy.partition(":")[2] if policy.startswith("guardrails-") and ":" in policy else policy


def _completion(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "completion", start.id)
    assert row is not None
    yield from _rows(lineage, start.id, [("answers", "prompt", row.row["prompt"])])
    yield from _written_by(lineage, start.id)
    for release in tracing.releases_of(lineage.journal, [_policy(row.row["policy"])]):
        yield Edge(_policy(row.row["policy"]), "released as", of_row(release))


def _feedback(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "feedback", start.id)
    assert row is not None
    yield from _rows(lineage, start.id, [("is about", "completion", row.row["completion"])])
    yield from _completion(lineage, node(lineage, "completion", row.row["completion"]))


def _written(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "written answer", start.id)
    assert row is not None
    told = [("answers", "prompt", row.row["prompt"]), ("written by", "rater", row.row["rater"])]
    told += [("edits", "completion", row.row["original"]), ("corrects", "written answer", row.row["supersedes"])]
    yield from _rows(lineage, start.id, told)


def _ranking(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "ranking", start.id)
    assert row is not None
    told = [("given by", "rater", row.row["rater"]), ("orders", "slate", row.row["slate"])]
    yield from _rows(lineage, start.id, told)


def _slate(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "slate", start.id)
    assert row is not None
    shown = [("shows", "completion", id) for id in json.loads(row.row["completions"])]
    yield from _rows(lineage, start.id, [("asks", "prompt", row.row["prompt"]), *shown])


def _release(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "release", start.id)
    assert row is not None
    yield from _rows(lineage, start.id, [("released by", "round", row.row["round"])])
    for word in ("policy", "guardrails", "gate", "card"):
        if row.row[word]:
            yield Edge(start.id, f"its {word}", of_artefact(lineage, row.row[word]))


def _round(lineage: Lineage, start: Node) -> Iterator[Edge]:
    row = tracing.get(lineage.journal, "round", start.id)
    assert row is not None
    yield from _rows(lineage, start.id, [("went on from", "round", row.row["parent"])])
    for step in rounds.steps(lineage.journal, start.id):
        if step.artefact:
            yield Edge(start.id, "left", of_artefact(lineage, step.artefact), f"step {step.step}")


_STEPS: Final[dict[str, Callable[[Lineage, Node], Iterator[Edge]]]] = {
    "judgement": _judgement, "comparison": _comparison, "completion": _completion, "feedback": _feedback,
    "written answer": _written, "ranking": _ranking, "slate": _slate, "release": _release, "round": _round,
}  # fmt: skip
_PEOPLE: Final = (
    ("ranking", "rater", "ranked"), ("written answer", "rater", "wrote"), ("feedback", "rater", "said"),
    ("exposure", "rater", "was shown"),
)  # fmt: skip
_HANGING: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "comparison": (("judgement", "comparison", "judged by"),),
    "completion": (("feedback", "completion", "feedback on it"), ("exposure", "completion", "served")),
    "prompt": (("completion", "prompt", "answered by"), ("written answer", "prompt", "written for it")),
    "rater": (("judgement", "rater", "judged"), *_PEOPLE),
    "person": _PEOPLE,
    "slate": (("ranking", "slate", "ranked by"),),
}
_MADE: Final = (("completion", "policy", "wrote"),)
"""Of an artefact: what it wrote, if it is a policy."""


def _hanging(lineage: Lineage, start: Node) -> list[Members]:
    """Rows of the journal that hang on a point."""
    journal, found = lineage.journal, []
    artefact = start.id in lineage.artefacts.all()
    for kind, of, word in _HANGING.get(start.kind, _MADE if artefact else ()):
        if number := tracing.count(journal, kind, of, start.id):
            first = tracing.hanging(journal, kind, of, start.id, most=FIRST)
            found.append(Members(kind, word, number, tuple(_node(row) for row in first)))
    if start.kind == "prompt" and (pairs := tracing.comparisons_on(journal, start.id)):
        found.append(Members("comparison", "asked by it", len(pairs), tuple(of_row(row) for row in pairs[:FIRST])))
    if artefact and (shown := tracing.served(journal, [start.id])):
        found.append(Members("exposure", "times one of its answers was shown to somebody", shown))
    if start.kind == "release":
        row = tracing.get(journal, "release", start.id)
        if row and (shown := tracing.served(journal, [row.row["policy"]])):
            found.append(Members("exposure", "times one of its policy's answers was shown to somebody", shown))
    return found


def _node(row: tracing.Row) -> Node:
    if row.kind == "exposure":
        told = f"shown to {row.row['person']} · {row.row['shown_at'][:16].replace('T', ' ')}"
        return Node("completion", row.row["completion"], told)
    return of_row(row)
