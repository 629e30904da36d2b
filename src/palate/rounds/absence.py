"""Prove that what was made anew holds nothing of who was forgotten: by content hashes, and without knowing who it was.

Everything that an artefact was made from is looked at. None may be tainted; each dataset's rows must hash to what its
manifest says, so that they are those that were learned from; and no row, rater or answer of it may have a tombstone,
which is the keyed hash of something that was erased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Workspace
from palate.core.errors import MissingArtefact, PalateError
from palate.core.records import Prompt
from palate.preferences.dataset import read_lines
from palate.preferences.lossless import COMPARISONS, JUDGEMENTS, RATERS, content_hash
from palate.store import erasure, rounds, taints
from palate.store.journal import Journal

_ONE_ROW: Final = {"comparison": "comparison", "prompt_id": "prompt", "uid": "judgement", "rater": "person"}
"""Keys of a row, and the kind of the tombstone that what they name would have."""
_BESIDE: Final = (JUDGEMENTS, COMPARISONS, RATERS)


class Looked(NamedTuple):
    """One artefact that was looked at."""

    id: str
    rows: int
    """Lines of its files."""
    content: str
    """SHA-256 of a dataset's rows, "" of anything else."""


class Proof(NamedTuple):
    """What was found."""

    artefact: str
    looked: tuple[Looked, ...]
    outside: tuple[str, ...]
    """Inputs that are no artefacts of this project: they cannot be looked at here."""
    problems: tuple[str, ...]
    """Nothing when the absence is proven."""


def prove(journal: Journal, workspace: Workspace, artefact: str, *, receipt: str = "") -> Proof:
    """Look for what was erased in an artefact and in all that it was made from.

    Args:
        journal: The project's, with its tombstones.
        workspace: Its artefacts.
        artefact: Id of an artefact, or of a round, of which the last thing that it made counts.
        receipt: Of the erasure; all of them when not given.

    Raises:
        MissingArtefact: there is no such artefact.
    """
    id = _last(journal, artefact) or artefact
    if not workspace.has(id):
        raise MissingArtefact(f"there is no artefact `{id}` to look at", expected="one that is whole")
    marked = {one.artefact for one in taints.every(journal) if receipt in ("", one.receipt)}
    looked, outside, problems = [], [], []
    for one in (id, *workspace.ancestors(id)):
        if one in marked:
            problems.append(f"{one} is tainted")
        if workspace.has(one):
            found, wrong = _look(journal, workspace, one)
            looked.append(found)
            problems += wrong
        elif not workspace.path(one).is_dir():
            outside.append(one)
        elif workspace.manifest(one).kind == "dataset":
            problems.append(f"{one} has no content to look at")
    return Proof(id, tuple(looked), tuple(outside), tuple(problems))


def _last(journal: Journal, named: str) -> str:
    """What a round made last, "" where this names no round."""
    for one in rounds.every(journal):
        if named in (one.id, str(one.number)):
            made = [step.artefact for step in rounds.steps(journal, one.id) if step.artefact]
            return made[-1] if made else ""
    return ""


def _look(journal: Journal, workspace: Workspace, id: str) -> tuple[Looked, list[str]]:
    folder, manifest = workspace.path(id), workspace.manifest(id)
    named: dict[str, set[str]] = defaultdict(set)
    parts, count = {}, 0
    for path in sorted(folder.glob("*.jsonl")):
        rows = [row for _, row in read_lines(path)]
        count += len(rows)
        if path.name not in _BESIDE:
            parts[path.stem] = rows
        for row in rows:
            for kind, value in _named(row, path):
                named[kind].add(value)
    problems = [
        f"{id} holds {len(gone)} of the erased, by {kind}"
        for kind, values in sorted(named.items())
        if (gone := erasure.erased(journal, kind, values))
    ]
    content = content_hash(parts) if manifest.kind == "dataset" else ""
    told = manifest.facts.get("content", "")
    if told and told != content:
        problems.append(f"the rows of {id} are not those that its manifest tells of")
    return Looked(id, count, content), problems


def _named(row: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str]]:
    """What a line names, by the kind of the tombstone that it would have."""
    for key, kind in _ONE_ROW.items():
        if isinstance(value := row.get(key), str):
            yield kind, value
    if path.name == COMPARISONS and isinstance(row.get("id"), str):
        yield "comparison", row["id"]
        for side in ("first", "second"):
            yield "completion", row[side]["id"]
    prompt = _prompt(row.get("prompt"))
    if not prompt:
        return
    yield "prompt", prompt
    for key in ("completion", "chosen", "rejected"):
        if isinstance(text := row.get(key), str):
            yield erasure.ANSWER, erasure.answer_id(prompt, text)


def _prompt(told: Any) -> str:
    """Its id, "" where this is none."""
    if isinstance(told, Mapping):
        return str(told.get("id", ""))
    try:
        return Prompt.from_dicts(told).id if isinstance(told, list) and told else ""
    except (PalateError, KeyError, TypeError):
        return ""


def sentence(proof: Proof) -> str:
    """The proof in words."""
    if proof.problems:
        return f"Not proven: {'; '.join(proof.problems)}."
    rows = sum(one.rows for one in proof.looked)
    told = f"{proof.artefact} and what it was made from, {len(proof.looked)} artefacts with {rows} lines, hold nothing"
    outside = f" Not looked at, for they lie outside: {', '.join(proof.outside)}." if proof.outside else ""
    return f"{told} that was erased.{outside}"
