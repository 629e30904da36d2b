"""Forget a person: in the journal, in what was made from it, in the copies of it; and say what must be made anew.

The journal comes last, for it alone can tell what is theirs: a command that was cut off finds all of it again. What
holds their words or names loses its content and keeps its manifest; what only learned from them stays until it is
made anew, or goes too (`purge`). The receipt tells everything and names nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import GONE, Workspace
from palate.core.errors import MissingArtefact
from palate.preferences.taint import Tainted, tainted
from palate.rounds import leftovers, retraining
from palate.rounds.leftovers import RECEIPTS, Leftover
from palate.rounds.recutting import recut
from palate.rounds.turn import alone
from palate.store import audit, erasure, old_copies, taints
from palate.store.erasure import Receipt
from palate.store.journal import Journal
from palate.store.marks import both
from palate.store.scouring import scour
from palate.store.traces import Traces

_WHY: Final = "erased: receipt"


class Found(NamedTuple):
    """What would go, and what it has tainted; never written down."""

    name: str
    """The pseudonym."""
    receipt: str
    """The id that the receipt will have."""
    traces: Traces
    tainted: list[Tainted]
    """The content of those that hold it goes."""
    leftovers: list[Leftover]
    copies: list[Path]


def look(journal: Journal, workspace: Workspace, person: str) -> Found:
    """What would go; nothing is touched.

    Args:
        journal: The project's.
        workspace: Its artefacts and files.
        person: A pseudonym, or the id or address of an account.

    Raises:
        DataError: nobody of this name is known.
    """
    who = erasure.known(journal, person)
    copies = old_copies.known(journal, workspace.root)
    traces = Traces(reduce(both, old_copies.marks(copies, who.name), who.marks))
    first = tainted(workspace, traces)
    files = leftovers.find(workspace, traces, [one.id for one in first])
    found = tainted(workspace, traces, leftovers.loose(files)) if leftovers.loose(files) else first
    return Found(who.name, who.receipt, traces, found, files, copies)


def forget(
    journal: Journal, workspace: Workspace, person: str, *, actor: str = "", purge: bool = False
) -> dict[str, Any]:
    """Forget a person everywhere in a project; the receipt, as it stands in `receipts/`.

    Args:
        journal: The project's.
        workspace: Its artefacts and files.
        person: A pseudonym, or the id or address of an account.
        actor: Who asked for it, for the audit log.
        purge: The content of what only learned from them goes too.

    Raises:
        DataError: nobody of this name is known, or a process is at work on a round.
    """
    with alone(workspace):
        found = look(journal, workspace, person)
        ids = [one.id for one in found.tainted]
        told = [(one.id, one.because) for one in found.tainted]
        taints.mark(journal, found.receipt, [*told, *retraining.turns(journal, ids)])
        for one in found.tainted:
            if (one.holds or purge) and workspace.has(one.id):
                workspace.hollow(one.id, f"{_WHY} {found.receipt}")
                _clean(workspace.path(one.id) / GONE, found.traces)
        for leftover in found.leftovers:
            leftovers.clear(leftover, found.traces)
        copies = [old_copies.erase(path, found.name, actor=actor) for path in found.copies]
        gone = erasure.forget(journal, person, actor=actor)
        files = [_said(one, workspace) for one in found.leftovers]
        return _finish(journal, workspace, gone, {"copies": [one._asdict() for one in copies], "files": files}, actor)


def finish(journal: Journal, workspace: Workspace) -> list[dict[str, Any]]:
    """Complete erasures that were cut off after the journal had forgotten the person; their receipts."""
    done = []
    forgotten = {one.object: one for one in audit.read(journal, most=100_000, action="forgot")}
    for id, entry in forgotten.items():
        if not path(workspace, id).is_file() and any(one.receipt == id for one in taints.every(journal)):
            gone = Receipt(id, entry.at, dict(entry.details["deleted"]), 0, (), (), {}, scour(journal))
            with alone(workspace):
                done.append(_finish(journal, workspace, gone, {}, entry.actor))
    return done


def path(workspace: Workspace, receipt: str) -> Path:
    """Where a receipt lies."""
    return workspace.root / RECEIPTS / f"{receipt}.json"


def receipt(workspace: Workspace, id: str = "") -> dict[str, Any]:
    """A receipt, the last one where none is named.

    Raises:
        MissingArtefact: there is none.
    """
    found = [path(workspace, id)] if id else sorted(
        (workspace.root / RECEIPTS).glob("*.json"), key=lambda one: str(_read(one).get("at", ""))
    )  # fmt: skip
    if not found or not found[-1].is_file():
        raise MissingArtefact("there is no such receipt", expected="the id of one in receipts/", found=id or "none")
    return _read(found[-1])


def steps(journal: Journal, workspace: Workspace, told: Mapping[str, Any]) -> list[retraining.Step]:
    """What a receipt asks to be made anew, as things are now."""
    ids = [one["id"] for one in told["tainted"]]
    return retraining.plan(journal, workspace, ids, {one["old"]: one["new"] for one in told["recut"]})


def _finish(
    journal: Journal, workspace: Workspace, gone: Receipt, more: Mapping[str, Any], actor: str
) -> dict[str, Any]:
    """Cut datasets again, plan what must be learned again, and write it all down."""
    marked = [one for one in taints.every(journal) if one.receipt == gone.id]
    hollow = [one.artefact for one in marked if _emptied(workspace, one.artefact, gone.id)]
    cuts = recut(journal, workspace, [id for id in hollow if workspace.manifest(id).kind == "dataset"])
    told: dict[str, Any] = {
        "id": gone.id, "at": gone.at, "deleted": gone.deleted, "renamed": gone.renamed, "tombstones": gone.tombstones,
        "left": list(gone.left), "copies": [], "files": [], **more,
        "tainted": [{"id": one.artefact, "because": one.because} for one in marked],
        "emptied": hollow, "recut": [one._asdict() for one in cuts],
    }  # fmt: skip
    told["plan"] = [one._asdict() for one in steps(journal, workspace, told)]
    counts = {name: len(told[name]) for name in ("tainted", "emptied", "files", "copies")}
    again = {one.old: one.new for one in cuts}
    audit.write(journal, actor, "forgot in artefacts and files", gone.id, **counts, recut=again)
    out = path(workspace, gone.id)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def _emptied(workspace: Workspace, id: str, receipt: str) -> bool:
    gone = workspace.path(id) / GONE
    return not workspace.has(id) and gone.is_file() and _read(gone).get("gone") == f"{_WHY} {receipt}"


def _clean(gone: Path, traces: Traces) -> None:
    """A manifest that stays names nobody."""
    told = _read(gone)
    left = {**told, **{name: traces.without(told[name]) for name in ("config", "facts")}}
    if left != told:
        gone.write_text(json.dumps(left, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _said(one: Leftover, workspace: Workspace) -> dict[str, Any]:
    return {"path": one.path.relative_to(workspace.root).as_posix(), "what": one.what, "count": one.lines}


def _read(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told
