"""Artefacts: what a stage leaves for the next one, with a manifest that names its inputs.

An artefact is a folder `artefacts/<kind>-<id>/` with a `manifest.json`. Its id follows from the
settings and the inputs, so the same work has the same id, and work that is already done is found.
Lineage is a walk along `inputs`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from palate.core.errors import DataError, MissingArtefact
from palate.core.ids import content_id, file_id, folder_id

MANIFEST = "manifest.json"
GONE = "gone.json"
"""The manifest of an artefact whose content was taken away: lineage still knows it, and it can be made anew."""
_MODEL_FILES = (".json", ".safetensors", ".model", ".jinja", ".txt", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an artefact is, how it was made, and from what."""

    kind: str
    """`dataset`, `model`, `reward`, `policy`, `report` …"""
    made_by: str
    """The verb that made it, such as `train dpo`."""
    config: Mapping[str, Any]
    """The resolved settings, defaults included."""
    inputs: Mapping[str, str]
    """Role to artefact id, such as `{"reference": "policy-…", "data": "dataset-…"}`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What came out: counts and last metrics. Not part of the id."""
    version: str = ""
    """Palate's version. Not part of the id."""
    made_at: str = ""
    """UTC, ISO 8601. Not part of the id."""

    @property
    def id(self) -> str:
        """`<kind>-<hash of what it was made by, with and from>`."""
        made = {"by": self.made_by, "config": dict(self.config), "inputs": dict(self.inputs)}
        return f"{self.kind}-{content_id(self.kind, made)}"


class Workspace:
    """A folder that holds artefacts and runs.

    Args:
        root: The project folder; `artefacts/` and `runs/` are made in it when first needed.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def artefacts(self) -> Path:
        """Where artefacts live."""
        return self.root / "artefacts"

    def path(self, artefact_id: str) -> Path:
        """Where the artefact of this id lives or would live."""
        return self.artefacts / artefact_id

    def run_folder(self, artefact_id: str) -> Path:
        """The folder for metrics and samples of the run that makes this artefact."""
        folder = self.root / "runs" / artefact_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has(self, artefact_id: str) -> bool:
        """Whether the artefact is there and whole."""
        return (self.path(artefact_id) / MANIFEST).is_file()

    def put(self, manifest: Manifest, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a folder, then make it visible at once; nothing half-written is seen.

        The files are on the disk before the folder has its name, so a loss of power leaves no
        damaged artefact either. Of two processes that make the same one, the first wins.

        Returns:
            The artefact's folder. If it is already there, `write` is not called.
        """
        target = self.path(manifest.id)
        if self.has(manifest.id):
            return target
        self.artefacts.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{manifest.id}.", dir=self.artefacts))
        try:
            write(staging)
            write_manifest(staging, manifest)
            staging.chmod(0o755)
            for path in (*staging.rglob("*"), staging):
                _flush(path)
            if target.exists() and not self.has(manifest.id):  # left by an interrupted deletion
                shutil.rmtree(target)
            try:
                os.replace(staging, target)
            except OSError:
                if not self.has(manifest.id):
                    raise
                shutil.rmtree(staging)  # a twin process was faster
            _flush(self.artefacts)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return target

    def manifest(self, artefact_id: str) -> Manifest:
        """The manifest of an artefact in this workspace.

        Raises:
            MissingArtefact: there is none of this id.
        """
        if not self.has(artefact_id):
            if (self.path(artefact_id) / GONE).is_file():
                return _read(self.path(artefact_id) / GONE)
            here = sorted(p.name for p in self.artefacts.glob("*-*") if (p / MANIFEST).is_file())
            raise MissingArtefact(
                f"there is no artefact `{artefact_id}` in {self.root}",
                found=", ".join(f"`{name}`" for name in here) or "an empty workspace",
            )
        return read_manifest(self.path(artefact_id))

    def manifests(self) -> Iterator[Manifest]:
        """Of all artefacts, those that were hollowed included, in the order of their names."""
        for folder in sorted(self.artefacts.glob("[!.]*")):
            if (folder / MANIFEST).is_file() or (folder / GONE).is_file():
                yield self.manifest(folder.name)

    def hollow(self, artefact_id: str, why: str) -> int:
        """Take an artefact's content away and keep its manifest, with the reason; bytes that were freed.

        Nobody takes a hollow artefact for one: `has` is false, and the same work makes it anew.

        Raises:
            MissingArtefact: there is none of this id.
        """
        folder, manifest = self.path(artefact_id), self.manifest(artefact_id)
        told = asdict(manifest) | {
            "id": artefact_id,
            "gone": why,
            "gone_at": datetime.now(UTC).isoformat("T", "seconds"),
        }
        half = folder / f".{GONE}"
        half.write_text(json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        _flush(half)
        os.replace(half, folder / GONE)
        (folder / MANIFEST).unlink(missing_ok=True)  # from here on it is hollow, however far the rest comes
        _flush(folder)
        freed = 0
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.name != GONE:
                freed += path.lstat().st_size
                path.unlink()
        return freed

    def ancestors(self, artefact_id: str) -> Iterator[str]:
        """Ids of everything that an artefact was made from, nearest first, each once."""
        seen: set[str] = set()
        queue = [artefact_id]
        while queue:
            current = queue.pop(0)
            if not self.has(current) and not (self.path(current) / GONE).is_file():
                continue
            for parent in self.manifest(current).inputs.values():
                if parent not in seen:
                    seen.add(parent)
                    yield parent
                    queue.append(parent)


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a folder."""
    from palate import __version__

    data = asdict(manifest)
    data["id"] = manifest.id
    data["version"] = __version__
    data["made_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an artefact's folder.

    Raises:
        MissingArtefact: the folder has none.
        DataError: the file is not a manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingArtefact(f"{folder} is not an artefact", expected=f"a file {MANIFEST} in it")
    return _read(path)


def _read(path: Path) -> Manifest:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = ("kind", "made_by", "config", "inputs", "facts", "version", "made_at")
        return Manifest(**{name: data[name] for name in names})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("a manifest cannot be read", where=str(path), found=str(error)) from error


def identify(path: Path | str) -> str:
    """The id to write into `inputs` for a file or folder: its manifest's, or one of its bytes.

    Raises:
        MissingArtefact: nothing is there.
    """
    path = Path(path)
    if path.is_file():
        return f"file-{file_id(path)}"
    if not path.is_dir():
        raise MissingArtefact(f"{path} does not exist", expected="a file or a folder")
    if (path / MANIFEST).is_file():
        return read_manifest(path).id
    names = [p.name for p in path.iterdir() if p.suffix in _MODEL_FILES]
    return f"folder-{folder_id(path, names)}"
