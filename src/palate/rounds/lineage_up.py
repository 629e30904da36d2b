"""What something shaped: from a click, a text or an artefact towards datasets, reward models, policies and releases.

How a click took part is a role, and what is made from a thing takes the role over:

| role | means |
|---|---|
| `learned` | it shaped the label of a row that is learned from |
| `measured` | it shaped a row by which models are measured |
| `paired` | a row of its pair, or of the pair that it asked for, is there; that row's label need not be its word |
| `asked` | from here on nothing but prompts was used, as in practising against a reward model |
| `held` | a dataset holds it, or its pair, but it did not count there; nothing follows |

Where several ways lead to one artefact, the first of these in this order holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from palate.core.records import EVALUATION, Comparison
from palate.rounds import lineage_index as index_
from palate.rounds.lineage import Edge, Lineage, Node, Side, of_artefact, of_row
from palate.rounds.lineage_artefacts import Made
from palate.rounds.lineage_index import LEARNED, MEASURED, NO_ROW, NONE, WHY, Index
from palate.store import releases, taints, tracing

ROLES: Final = ("learned", "measured", "paired", "asked", "held")
_ROLE: Final = {LEARNED: "learned", MEASURED: "measured"}
NOT_YET: Final = "Not used yet: it is in no dataset. The next one that is built will read it."
EVALUATED: Final = "It compared two models in an evaluation: no dataset of a round learns from that."
NOTHING: Final = "Nothing was made of it yet."


class Held(NamedTuple):
    """That a dataset holds something."""

    dataset: str
    role: str
    how: str


def up(lineage: Lineage, node: Node) -> Side:
    """Everything that a point shaped."""
    with lineage.journal.reading():
        step = _STEPS.get(node.kind)
        if step is not None:
            before, held, notes = step(lineage, node)
            edges, reached = held_edges(lineage, held)
            side = Side([*before, *edges, *follow(lineage, reached)], [], notes)
            empty = not any(role != "held" for role in reached.values())
            click = node.kind in tracing.CLICKS and EVALUATED not in notes
            return _noted(lineage, side, NOT_YET if empty and click else "")
        if node.kind == "release":
            return _noted(lineage, Side(_round_of_release(lineage, node), [], []), "")
        if node.kind == "round":
            return _noted(lineage, Side(_after_round(lineage, node), [], []), "")
        side = Side(follow(lineage, {node.id: "learned"}), [], [])
        return _noted(lineage, side, "" if side.edges else NOTHING)


def held_edges(lineage: Lineage, held: Iterable[tuple[str, Held]]) -> tuple[list[Edge], dict[str, str]]:
    """Edges into datasets, each dataset once, and the role of each.

    Args:
        lineage: The project.
        held: Ids of what is held, with how.
    """
    best: dict[str, tuple[str, Held]] = {}
    for source, one in held:
        known = best.get(one.dataset)
        if known is None or ROLES.index(one.role) < ROLES.index(known[1].role):
            best[one.dataset] = (source, one)
    edges = [
        Edge(source, "held by", of_artefact(lineage, one.dataset), one.how, one.role) for source, one in best.values()
    ]
    return edges, {one.dataset: one.role for _, one in best.values()}


def follow(lineage: Lineage, roles: dict[str, str]) -> list[Edge]:
    """Edges to everything that was made from some artefacts, to their releases, and to rounds that they are of.

    Args:
        lineage: The project.
        roles: Where to begin, and in which role each takes part.
    """
    reached = {id: role for id, role in roles.items() if role != "held"}
    done: set[str] = set()
    made: list[tuple[Made, str]] = []
    for role in ROLES[:-1]:  # the strongest first, so that an artefact is met in its best role
        queue = [id for id in reached if reached[id] == role and id not in done]
        for id in queue:
            done.add(id)
            for edge in lineage.artefacts.made_from(id):
                weak = lineage.artefacts.only_asked(edge)
                if weak and role not in ("learned", "asked"):
                    continue  # prompts that are practised on are of rows that are learned from
                after = "asked" if weak else role
                made.append((edge, after))
                known = reached.get(edge.id)
                if known is None or ROLES.index(after) < ROLES.index(known):
                    reached[edge.id] = after
                    if after == role:
                        queue.append(edge.id)
    edges = [
        Edge(edge.source, "made from it", of_artefact(lineage, edge.id), f"as {edge.role}", role) for edge, role in made
    ]
    return [*edges, *_released(lineage, reached), *_in_rounds(lineage, reached)]


def _released(lineage: Lineage, reached: dict[str, str]) -> list[Edge]:
    named: dict[str, list[str]] = {}
    for alias, release in releases.aliases(lineage.journal).items():
        named.setdefault(release, []).append(alias)
    rows = [(row, row.row["policy"]) for row in tracing.releases_of(lineage.journal, reached)]
    return [
        Edge(policy, "released as", of_row(row), " and ".join(named.get(row.id, [])), reached[policy])
        for row, policy in rows
    ]


def _in_rounds(lineage: Lineage, reached: dict[str, str]) -> list[Edge]:
    found = tracing.rounds_with(lineage.journal, reached)
    return [
        Edge(artefact, "in", of_row(row), f"step {step}" if step else "", reached[artefact])
        for row, step, artefact in found
    ]


def _noted(lineage: Lineage, side: Side, empty: str) -> Side:
    """With what must be said beside."""
    notes = [empty] if empty else []
    ids = {edge.node.id for edge in side.edges}
    marked = [one for one in taints.every(lineage.journal) if one.artefact in ids]
    bad = dict.fromkeys(f"{one.artefact} is tainted: {one.because}" for one in marked)
    return side._replace(notes=[*side.notes, *notes, *bad, *lineage.notes()])


_Found = tuple[list[Edge], list[tuple[str, Held]], list[str]]


def _judgement(lineage: Lineage, node: Node) -> _Found:
    row = tracing.get(lineage.journal, "judgement", node.id)
    assert row is not None
    shown = tracing.get(lineage.journal, "comparison", row.row["comparison"])
    evaluated = shown is not None and str(shown.row["source"]).startswith(EVALUATION)
    return [], [(node.id, one) for one in of_judgement(lineage, row)], [EVALUATED] if evaluated else []


def of_judgement(lineage: Lineage, row: tracing.Row) -> list[Held]:
    """Datasets that hold a judgement, or its comparison without it."""
    comparison = row.row["comparison"]
    found = []
    for dataset, index in _indices(lineage):
        state = index.judgement(row.id)
        if state != NONE:
            found.append(Held(dataset, _ROLE.get(state, "held"), WHY[state]))
        elif (place := index.comparison(comparison)) != NONE:
            if index.lossless:
                found.append(Held(dataset, "held", _without(lineage, dataset, row)))
            elif place != NO_ROW and not _told_before(lineage, dataset, comparison):
                found.append(Held(dataset, "paired", "has a row of its pair, and does not say whose word made it"))
    return found


def _without(lineage: Lineage, dataset: str, row: tracing.Row) -> str:
    """Why a dataset holds a comparison, but not this judgement of it."""
    manifest = lineage.artefacts.all()[dataset]
    if row.row["task"] == "model" and manifest.config.get("models", "apart") == "apart":
        return "holds its pair, but not this judgement: what models said was kept apart"
    if _later(row.row["judged_at"], manifest.made_at):
        return "holds its pair, but not this judgement: it came later"
    return "holds its pair, but not this judgement: it was not read"


def _told_before(lineage: Lineage, dataset: str, comparison: str) -> bool:
    """Whether a dataset that this one was made from says whose words made the row."""
    for edge in lineage.artefacts.ancestors([dataset]).edges:
        manifest = lineage.artefacts.all().get(edge.source)
        if manifest is not None and manifest.kind == "dataset":
            index = lineage.indices.of(edge.source)
            if index is not None and index.lossless and index.comparison(comparison) != NONE:
                return True
    return False


def _comparison(lineage: Lineage, node: Node) -> _Found:
    return [], [(node.id, one) for one in of_comparisons(lineage, [node.id])], []


def of_comparisons(lineage: Lineage, ids: Sequence[str], role: str = "", how: str = "") -> list[Held]:
    """Datasets that hold some comparisons; `role` and `how` say something else of a row that is there."""
    found = []
    for dataset, index in _indices(lineage):
        states = [state for id in ids if (state := index.comparison(id)) != NONE]
        rows = [state for state in states if state != NO_ROW]
        if rows:
            of = f"{len(rows)} of its pairs" if len(ids) > 1 else "its pair"
            found.append(Held(dataset, role or _ROLE[min(rows)], how or f"has a row of {of}"))
        elif states:
            found.append(Held(dataset, "held", "held, but has no row: it was left out"))
    return found


def of_answer(lineage: Lineage, prompt: str, text: str, what: str) -> list[Held]:
    """Datasets that hold a text as an answer to a prompt."""
    states = ((dataset, index.answer(prompt, text)) for dataset, index in _indices(lineage))
    return [Held(dataset, _ROLE[state], f"has {what} as a row") for dataset, state in states if state != NONE]


def _prompt(lineage: Lineage, node: Node) -> _Found:
    states = ((dataset, index.prompt(node.id)) for dataset, index in _indices(lineage))
    held = [(node.id, Held(dataset, _ROLE[state], "has rows of it")) for dataset, state in states if state != NONE]
    return [], held, []


def _completion(lineage: Lineage, node: Node) -> _Found:
    row = tracing.get(lineage.journal, "completion", node.id)
    assert row is not None
    shown = [one.id for one in tracing.comparisons_on(lineage.journal, row.row["prompt"], node.id)]
    held = [*of_comparisons(lineage, shown), *of_answer(lineage, row.row["prompt"], row.row["text"], "it")]
    return [], [(node.id, one) for one in held], []


def _written(lineage: Lineage, node: Node) -> _Found:
    row = tracing.get(lineage.journal, "written answer", node.id)
    assert row is not None
    held = [(node.id, one) for one in of_answer(lineage, row.row["prompt"], row.row["text"], "the text")]
    # What `store.demonstrations` calls the judgement that an edit is.
    said = tracing.get(lineage.journal, "judgement", f"{node.id} edit") if row.row["original"] else None
    if said is None:
        return [], held, []
    edge = Edge(node.id, "says that it beats the original", of_row(said))
    return [edge], [*held, *((said.id, one) for one in of_judgement(lineage, said))], []


def _feedback(lineage: Lineage, node: Node) -> _Found:
    row = tracing.get(lineage.journal, "feedback", node.id)
    assert row is not None
    kind = row.row["kind"]
    if kind in ("up", "down", "none"):
        return [], [(node.id, one) for one in of_thumb(lineage, row)], []
    if kind == "edit" and (kept := tracing.get(lineage.journal, "written answer", node.id)):
        edges, held, notes = _written(lineage, of_row(kept))
        return [Edge(node.id, "kept as", of_row(kept)), *edges], held, notes
    if kind == "regenerate" and (pair := _drawn(lineage, row)):
        how = "has a row of the pair that it asked for, which raters judged"
        held = [(pair.id, one) for one in of_comparisons(lineage, [pair.id], "paired", how)]
        return [Edge(node.id, "asked for the pair", of_row(pair))], held, []
    return [], [], [f"A signal of the kind {kind} is read by people; no dataset holds it."]


def _drawn(lineage: Lineage, row: tracing.Row) -> tracing.Row | None:
    """The pair that a regeneration made."""
    new = row.row["value"].rpartition(" ")[2]
    old = tracing.get(lineage.journal, "completion", row.row["completion"])
    if old is None:
        return None
    shown = Comparison(prompt=old.row["prompt"], first=old.id, second=new)
    return tracing.get(lineage.journal, "comparison", shown.id)


def of_thumb(lineage: Lineage, row: tracing.Row) -> list[Held]:
    """Datasets of approvals that hold the answer of a thumb, and whether this thumb stood when they were frozen."""
    said = tracing.get(lineage.journal, "completion", row.row["completion"])
    assert said is not None
    found = []
    for one in of_answer(lineage, said.row["prompt"], said.row["text"], "the answer"):
        manifest = lineage.artefacts.all()[one.dataset]
        if manifest.made_by != "dataset approvals":
            found.append(one._replace(role="paired", how="has the answer as a row, though not for this thumb"))
            continue
        thumbs = tracing.thumbs_of(lineage.journal, said.id, row.row["person"])
        then = [thumb for thumb in thumbs if not _later(thumb.row["created_at"], manifest.made_at)]
        if row.id not in {thumb.id for thumb in then}:
            found.append(one._replace(role="held", how="has the answer as a row, but not this thumb: it came later"))
        elif then[-1].id != row.id:
            found.append(one._replace(role="held", how="held, but did not count: a later thumb took its place"))
        elif row.row["kind"] == "none":
            found.append(one._replace(role="held", how="has the answer as a row, without this person's thumb"))
        elif not row.row["consent"]:
            found.append(one._replace(role="held", how="held, but did not count: the chat was not shared"))
        else:
            found.append(one._replace(how="counted: the thumb is in the row of its answer"))
    return found


def _rater(lineage: Lineage, node: Node) -> _Found:
    journal = lineage.journal
    keys_U = np.array([index_.hashed(uid) for uid in tracing.uids_by(journal, node.id)], dtype=np.uint64)
    written = list(tracing.stream(journal, "written answer", "rater", node.id))
    held: list[Held] = []
    for dataset, index in _indices(lineage):
        counts = np.bincount(index_.states_among(index, keys_U), minlength=NONE + 1)
        texts = [index.answer(row.row["prompt"], row.row["text"]) for row in written]
        learned, measured = int(counts[LEARNED]), int(counts[MEASURED])
        apart = int(counts[:NONE].sum()) - learned - measured
        told = [(learned, "counted to learn from"), (measured, "counted to measure by"), (apart, "held, not counted")]
        told.append((sum(state != NONE for state in texts), "written by them"))
        how = ", ".join(f"{number:,} {word}" for number, word in told if number)
        if how:
            best = min([LEARNED] * bool(learned) + [MEASURED] * bool(measured) + texts + [NO_ROW])
            held.append(Held(dataset, _ROLE.get(best, "held"), how))
    for row in tracing.stream(journal, "feedback", "rater", node.id):
        if row.row["kind"] in ("up", "down"):
            held += of_thumb(lineage, row)
    return [], [(node.id, one) for one in held], []


def _ranked(lineage: Lineage, node: Node) -> _Found:
    return [], [], ["Rankings are exported; no dataset of Palate's own reads them."]


_STEPS: Final[dict[str, Callable[[Lineage, Node], _Found]]] = {
    "judgement": _judgement, "comparison": _comparison, "completion": _completion, "prompt": _prompt,
    "written answer": _written, "feedback": _feedback, "rater": _rater, "person": _rater, "ranking": _ranked,
    "slate": _ranked,
}  # fmt: skip


def _indices(lineage: Lineage) -> Iterable[tuple[str, Index]]:
    for dataset in lineage.artefacts.datasets():
        index = lineage.indices.of(dataset)
        if index is not None:
            yield dataset, index


def _later(done: str, made: str) -> bool:
    """Whether something was done after a dataset was made, whose moment is known to the second."""
    if not made:
        return False
    ends = datetime.fromisoformat(made) + timedelta(seconds=1)
    at = datetime.fromisoformat(done)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) >= ends


def _round_of_release(lineage: Lineage, node: Node) -> list[Edge]:
    row = tracing.get(lineage.journal, "release", node.id)
    found = tracing.get(lineage.journal, "round", row.row["round"]) if row and row.row["round"] else None
    return [] if found is None else [Edge(node.id, "released by", of_row(found), "", "learned")]


def _after_round(lineage: Lineage, node: Node) -> list[Edge]:
    journal = lineage.journal
    ours = [one.id for one in releases.every(journal) if one.round == node.id]
    rows = tracing.several(journal, "release", ours).values()
    return [Edge(node.id, "released", of_row(row), "", "learned") for row in rows]
