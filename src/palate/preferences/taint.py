"""What was built from something that had to go: artefacts that hold it, and everything made from those.

An artefact holds it where a line of a file of its own names the person or a row of theirs, or has their words. What
was made from somebody's judgements without naming them, as a row of a dataset is made of votes, holds them too: it is
told by its lossless file; without one, by the comparison, unless it was made before they judged.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import GONE, Manifest, Workspace
from palate.preferences.lossless import JUDGEMENTS
from palate.store.marks import Marks
from palate.store.traces import Traces

LINES: Final = (".jsonl", ".ndjson")
TEXTS: Final = (".json", ".md", ".html", ".txt", ".csv", ".tsv", ".toml", ".svg", ".yaml", ".yml", ".log", ".jinja")
"""What people can read. Weights hold nobody's words; whoever learned from them is found by what it was made from."""
_OTHER_BYTES: Final = 1 << 23
"""A file that is neither is looked through up to this size."""
_WEIGHTS: Final = (".safetensors", ".bin", ".npy", ".npz", ".pt")


class Tainted(NamedTuple):
    """An artefact that holds, or learned from, what is gone."""

    id: str
    because: str
    holds: bool
    """It holds it itself."""


def tainted(workspace: Workspace, traces: Traces, files: Collection[str] = ()) -> list[Tainted]:
    """Artefacts that hold what is theirs, and those that were made from them, nearest first.

    Args:
        workspace: Where to look; artefacts whose content is gone count as what something was made from.
        traces: Of the person.
        files: Ids of loose files that hold it, as `inputs` name them.
    """
    every = dict(artefacts(workspace))
    found = {}
    for id, manifest in every.items():
        if workspace.has(id) and (count := held(workspace.path(id), manifest, traces)):
            found[id] = Tainted(id, f"holds {count} of the lines", holds=True)
    return [*found.values(), *after(every, {*found, *files}, known=found)]


def after(every: Mapping[str, Manifest], from_: Iterable[str], *, known: Collection[str] = ()) -> list[Tainted]:
    """What was made from some artefacts or files, nearest first.

    Args:
        every: All manifests, by the ids of their folders.
        from_: Ids that `inputs` may name.
        known: Ids that need not be told.
    """
    reached, found = set(from_), []
    while more := [
        Tainted(id, f"made from {parents[0]}", holds=False)
        for id, manifest in every.items()
        if id not in reached and id not in known
        and (parents := [one for one in manifest.inputs.values() if one in reached])
    ]:  # fmt: skip
        found += more
        reached |= {one.id for one in more}
    return found


def artefacts(workspace: Workspace) -> Iterator[tuple[str, Manifest]]:
    """All of them by the names of their folders, those without content too."""
    for folder in sorted(workspace.artefacts.glob("[!.]*")):
        if workspace.has(folder.name) or (folder / GONE).is_file():
            yield folder.name, workspace.manifest(folder.name)


def held(folder: Path, manifest: Manifest, traces: Traces) -> int:
    """How many lines of an artefact's files are of a person."""
    named = (folder / JUDGEMENTS).is_file()
    count = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix in LINES:
            with path.open(encoding="utf-8", errors="replace") as handle:
                count += sum(1 for line in handle if _theirs(line, traces, "" if named else manifest.made_at))
        else:
            count += in_file(path, traces)
    return count


def in_file(path: Path, traces: Traces) -> bool:
    """Whether a file that has no lines holds what is theirs."""
    if path.suffix in _WEIGHTS or (path.suffix not in TEXTS and path.stat().st_size > _OTHER_BYTES):
        return False
    text = path.read_bytes().decode("utf-8", "ignore")
    if path.suffix == ".json":
        try:
            return traces.in_row(json.loads(text))
        except ValueError:
            pass
    return traces.in_text(text)


def _theirs(line: str, traces: Traces, made_at: str) -> bool:
    if traces.in_line(line):
        return True
    marks = traces.marks
    if not (marks.judged or marks.rated or marks.answers):
        return False
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and _counts(row, marks, made_at)


def _counts(row: Mapping[str, Any], marks: Marks, made_at: str) -> bool:
    """Whether a row was made of what they said, among others."""
    answer = (str(row.get("prompt_id", "")), str(row.get("completion", "")))
    since = marks.rated.get(answer) if "p_good" in row else None
    if since is not None:
        return _by(since, made_at)
    if not made_at:
        return False  # the lossless file says who is in it
    named = row.get("comparison", row.get("id"))
    since = marks.judged.get(named) if isinstance(named, str) else None
    return since is not None and _by(since, made_at)


def _by(since: str, made_at: str) -> bool:
    """Whether something was there when an artefact was made. Manifests count seconds."""
    return since[:19] <= made_at[:19] or not made_at
