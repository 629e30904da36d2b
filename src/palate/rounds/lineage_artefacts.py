"""Which artefact was made from which, both ways: every manifest of a project, read once.

An artefact does not change, so a manifest that was read stays read; only the folder that holds them all is looked at
again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import MANIFEST, Manifest, Workspace, read_manifest
from palate.core.errors import PalateError

_PRACTISE: Final = ("train ppo", "train rloo", "train grpo", "train online-dpo", "train best-of-n")
"""Recipes whose `data` are prompts: what was judged in it teaches them nothing."""


class Ancestors(NamedTuple):
    """What some artefacts were made from."""

    edges: list[Made]
    whole: list[str]
    """They themselves, and what shaped them."""
    asked: list[str]
    """What gave them nothing but prompts."""


class Made(NamedTuple):
    """An artefact that something else was made from, and as what it was used."""

    id: str
    role: str
    """Its name among the inputs, such as `data`."""
    source: str
    """What it was made from."""


def only_asked(manifest: Manifest, role: str) -> bool:
    """Whether an input of this role gave nothing but its prompts."""
    return role == "prompts" or (role == "data" and manifest.made_by in _PRACTISE)


class Artefacts:
    """The manifests of a project.

    Args:
        workspace: The project.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._seen = -1
        self._manifests: dict[str, Manifest] = {}
        self._children: dict[str, list[Made]] = {}
        self.unreadable: dict[str, str] = {}
        """Folders whose manifest cannot be read, and why."""

    def all(self) -> Mapping[str, Manifest]:
        """By id, in alphabetical order."""
        folder = self.workspace.artefacts
        changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if changed != self._seen:
            self._read(folder)
            self._seen = changed
        return self._manifests

    def _read(self, folder: Path) -> None:
        manifests: dict[str, Manifest] = {}
        unreadable: dict[str, str] = {}
        for path in sorted(folder.glob(f"*/{MANIFEST}")):
            name = path.parent.name
            if name.startswith("."):  # not finished
                continue
            try:
                manifests[name] = self._manifests.get(name) or read_manifest(path.parent)
            except (PalateError, OSError) as error:
                unreadable[name] = str(error).splitlines()[0]
        children: dict[str, list[Made]] = defaultdict(list)
        for id, manifest in manifests.items():
            for role, source in manifest.inputs.items():
                children[source].append(Made(id, role, source))
        # At once, since other threads walk meanwhile.
        self._manifests, self._children, self.unreadable = manifests, dict(children), unreadable

    def datasets(self) -> list[str]:
        """Ids of all that are datasets."""
        return [id for id, manifest in self.all().items() if manifest.kind == "dataset"]

    def made_from(self, id: str) -> list[Made]:
        """What was made from this at once; it need not be an artefact itself."""
        self.all()
        return self._children.get(id, [])

    def only_asked(self, edge: Made) -> bool:
        """Whether this edge carried nothing but prompts."""
        return only_asked(self.all()[edge.id], edge.role)

    def ancestors(self, ids: Iterable[str]) -> Ancestors:
        """Everything that some artefacts were made from, however far, the nearest first."""
        manifests = self.all()
        whole: dict[str, None] = dict.fromkeys(ids)
        asked: dict[str, None] = {}
        edges: list[Made] = []
        for seen, only in ((whole, False), (asked, True)):
            queue = list(seen)
            for current in queue:
                manifest = manifests.get(current)
                for role, source in (manifest.inputs if manifest else {}).items():
                    edges.append(Made(current, role, source))
                    weak = only or (manifest is not None and only_asked(manifest, role))
                    into = asked if weak else whole
                    if source in whole or source in into:
                        continue
                    into[source] = None
                    if weak == only:
                        queue.append(source)
            for id in whole:
                asked.pop(id, None)
        return Ancestors(list(dict.fromkeys(edges)), list(whole), list(asked))
