"""Files of a project that are no artefacts: what runs, caches, logs and quarantines hold of a person, and its removal.

Lines that name them or have their words go, and of JSON the values; a file that has no lines goes whole, and so does
an index that is made anew when it is wanted. Checkpoints of whoever learned from them go too. What lies elsewhere in
the project's folder is its owner's, and is named and not touched.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import MANIFEST, Workspace
from palate.core.ids import file_id
from palate.formats.quarantine import FOLDER as QUARANTINE
from palate.preferences.taint import LINES, in_file
from palate.store import old_copies
from palate.store.traces import Traces

RECEIPTS: Final = "receipts"
OURS: Final = ("runs", "cache", "logs", QUARANTINE, RECEIPTS)
"""Folders whose files Palate writes."""
_LINES: Final = (*LINES, ".log", ".txt", ".csv", ".tsv")
_BESIDE: Final = ("-wal", "-shm", "-journal")


class Leftover(NamedTuple):
    """Something that holds what is theirs."""

    path: Path
    what: str
    """lines, values, file, checkpoints, or outside for what is named and not touched."""
    lines: int
    """How many; 1 of anything else."""


def find(workspace: Workspace, traces: Traces, tainted: Collection[str]) -> list[Leftover]:
    """All of them; nothing is touched.

    Args:
        workspace: The project's.
        traces: Of the person.
        tainted: Ids of artefacts that hold or learned from what is theirs.
    """
    checkpoints = list(_checkpoints(workspace, tainted))
    found = [Leftover(path, "checkpoints", 1) for path in checkpoints]
    for path in _files(workspace):
        if any(folder in path.parents for folder in checkpoints):
            continue
        if leftover := _look(path, workspace, traces):
            found.append(leftover)
    return found


def clear(leftover: Leftover, traces: Traces) -> None:
    """Take it away. A log is written to while it is open, so it keeps its place; all others are replaced at once."""
    path = leftover.path
    if leftover.what == "checkpoints":
        shutil.rmtree(path, ignore_errors=True)
    elif leftover.what == "file":
        for name in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
            name.unlink(missing_ok=True)
    elif leftover.what == "values":
        told = traces.without(json.loads(path.read_text(encoding="utf-8")))
        _replace(path, [json.dumps(told, indent=1, ensure_ascii=False) + "\n"])
    elif leftover.what == "lines":
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as handle:
            kept = [line for line in handle if not traces.in_line(line)]
        if path.suffix == ".log":
            with path.open("r+", encoding="utf-8", errors="surrogateescape", newline="") as handle:
                handle.writelines(kept)
                handle.truncate()
        else:
            _replace(path, kept)


def loose(found: Collection[Leftover]) -> set[str]:
    """Ids by which `inputs` name the files that are named and not touched."""
    return {f"file-{file_id(one.path)}" for one in found if one.what == "outside"}


def _files(workspace: Workspace) -> Iterator[Path]:
    """All files of the project but whole artefacts and journals; of artefacts, what died half-written."""
    for path in sorted(workspace.root.rglob("*")):
        parts = path.relative_to(workspace.root).parts
        inside = parts[0] == workspace.artefacts.name
        if path.is_file() and not path.is_symlink() and not (inside and len(parts) > 2 and parts[1][0] != "."):
            yield path


def _look(path: Path, workspace: Workspace, traces: Traces) -> Leftover | None:
    parts = path.relative_to(workspace.root).parts
    ours = parts[0] in OURS or parts[0] == workspace.artefacts.name or path.suffix == ".log"
    if path.name.endswith(_BESIDE):
        return None  # they go with their file
    if old_copies.is_database(path):
        # An index of what stands elsewhere; journals and their copies are erased as what they are.
        return Leftover(path, "file", 1) if ours and not old_copies.is_journal(path) else None
    if path.suffix in _LINES and ours:
        with path.open(encoding="utf-8", errors="replace") as handle:
            count = sum(1 for line in handle if traces.in_line(line))
        return Leftover(path, "lines", count) if count else None
    if not _holds(path, traces):
        return None
    if not ours:
        return Leftover(path, "outside", 1)
    return Leftover(path, "values" if _is_json(path) else "file", 1)


def _holds(path: Path, traces: Traces) -> bool:
    if path.suffix in LINES:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return any(traces.in_line(line) for line in handle)
    return in_file(path, traces)


def _is_json(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _checkpoints(workspace: Workspace, tainted: Collection[str]) -> Iterator[Path]:
    """Of runs that made, or were to make, something out of what is theirs."""
    for folder in sorted((workspace.root / "runs").glob("*/checkpoints")):
        told = "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for name in ("config.json", MANIFEST)
            if (path := folder.parent / name).is_file()
        )
        if folder.parent.name in tainted or any(one in told for one in tainted):
            yield folder


def _replace(path: Path, lines: list[str]) -> None:
    half = path.with_name(f".{path.name}.tmp")
    with half.open("w", encoding="utf-8", errors="surrogateescape", newline="") as handle:
        handle.writelines(lines)
        handle.flush()
        os.fsync(handle.fileno())
    half.chmod(path.stat().st_mode)
    os.replace(half, path)
