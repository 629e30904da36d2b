"""Datasets whose content was taken away, frozen anew with the same settings from the journal as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import PalateError
from palate.preferences.dataset import freeze_approvals, freeze_demonstrations
from palate.preferences.gates import GateConfig
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.thumbs import approvals
from palate.preferences.written import written
from palate.store.journal import Journal


class Recut(NamedTuple):
    """What became of a dataset."""

    old: str
    new: str
    """"" where it could not be frozen again."""
    why: str = ""
    """Why not."""


def recut(journal: Journal, workspace: Workspace, datasets: Iterable[str]) -> list[Recut]:
    """Freeze each anew. Rows that came in since are in it too; a dataset that others made is left to them."""
    return [_one(journal, workspace, id) for id in datasets]


def _one(journal: Journal, workspace: Workspace, id: str) -> Recut:
    manifest = workspace.manifest(id)
    cut = _CUTS.get(manifest.made_by)
    if cut is None:
        return Recut(id, "", f"`{manifest.made_by}` makes it anew")
    if "evaluation" in manifest.inputs:
        return Recut(id, "", "its evaluation prompts are not written down: `palate dataset build --evaluation …`")
    try:
        return Recut(id, cut(journal, workspace, manifest).name)
    except PalateError as error:
        return Recut(id, "", error.what)


def _preferences(journal: Journal, workspace: Workspace, manifest: Manifest) -> Path:
    return freeze(journal, workspace, settings(manifest.config))


def _demonstrations(journal: Journal, workspace: Workspace, manifest: Manifest) -> Path:
    return freeze_demonstrations(written(journal), workspace, **manifest.config)


def _approvals(journal: Journal, workspace: Workspace, manifest: Manifest) -> Path:
    return freeze_approvals(approvals(journal), workspace, **manifest.config)


def settings(config: Mapping[str, Any]) -> SnapshotConfig:
    """Settings of a snapshot, as its manifest has them."""
    known = {field.name for field in fields(SnapshotConfig)}
    told = {name: value for name, value in config.items() if name in known}
    if "gates" in told:
        told["gates"] = GateConfig(**told["gates"])
    return SnapshotConfig(**{**told, **{name: tuple(told.get(name, ())) for name in ("sources", "besides")}})


_CUTS: Final[dict[str, Callable[[Journal, Workspace, Manifest], Path]]] = {
    "dataset freeze": _preferences,
    "dataset demonstrations": _demonstrations,
    "dataset approvals": _approvals,
}
