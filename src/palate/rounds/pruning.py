"""What a project can do without: contents that nothing needs, while every manifest stays, so that lineage does too.

Whole stay: datasets and reports, which lineage reads and which are small; what any release serves; what the releases
with a name were made from; what a round that is not over has made or goes on from; whatever `palate.toml` names; and
what is younger than some days. Of the rest, manifests stay. Checkpoints go of runs that have left their artefact, and
what processes that died have left half-written.
"""

from __future__ import annotations

import shutil
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import MANIFEST, Workspace
from palate.core.errors import ConfigError
from palate.rounds.turn import alone, left
from palate.store import releases, rounds
from palate.store.journal import Journal

HEAVY: Final = ("base", "model", "policy", "reward")
"""Kinds of artefacts whose content can be made again; those of all others stay."""
STALE_S: Final = 86_400.0
"""A folder of somebody at work that nobody has touched for so long is nobody's."""
PLAN: Final = "palate.toml"


class Item(NamedTuple):
    """Something that can go."""

    what: str
    """artefact, checkpoints, cache, or leftover."""
    path: Path
    bytes: int
    why: str


def plan(journal: Journal, workspace: Workspace, *, days: float = 30.0) -> list[Item]:
    """What can go, the largest first; nothing is touched.

    Args:
        journal: The project's.
        workspace: Its artefacts and runs.
        days: Whatever is younger stays.

    Raises:
        ConfigError: days are below 0.
    """
    if days < 0:
        raise ConfigError("nothing is younger than that", where="--days", expected="0 or more", found=f"{days:g}")
    keep = needed(journal, workspace)
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    found = [
        Item("artefact", workspace.path(one.id), size(workspace.path(one.id)), "no release and no open round needs it")
        for one in workspace.manifests()
        if one.kind in HEAVY and workspace.has(one.id) and one.id not in keep and one.made_at < before
    ]
    return sorted([*found, *_beside(workspace, days)], key=lambda item: -item.bytes)


def prune(journal: Journal, workspace: Workspace, *, days: float = 30.0) -> list[Item]:
    """Take away what can go; the items that went.

    Raises:
        ConfigError: days are below 0.
        DataError: a process is at work on a round.
    """
    with alone(workspace):
        items = plan(journal, workspace, days=days)
        for item in items:
            if item.what == "artefact":
                workspace.hollow(item.path.name, f"pruned: {item.why}")
            else:
                shutil.rmtree(item.path, ignore_errors=True)
    return items


def needed(journal: Journal, workspace: Workspace) -> set[str]:
    """Ids of artefacts that must stay whole."""
    found: set[str] = set(_named(workspace))
    served = {one.id: one for one in releases.every(journal)}
    for one in served.values():
        found |= {one.policy, one.guardrails, one.gate, one.card} - {""}
    for id in releases.aliases(journal).values():
        found |= set(workspace.ancestors(served[id].policy))
    every = rounds.every(journal)
    for one_round in every:
        if rounds.state(journal, one_round.id) in rounds.OVER and one_round is not every[-1]:
            continue
        made = {
            id for name in (one_round.id, one_round.parent) if name for id in left(journal, workspace, name).values()
        }
        found |= made - {""}
        found |= {parent for id in made if id for parent in workspace.ancestors(id)}
    return found


def _named(workspace: Workspace) -> Iterator[str]:
    """Artefacts that the project's settings name by their folder."""
    path = workspace.root / PLAN
    if not path.is_file():
        return
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    for section in told.values():
        for value in section.values() if isinstance(section, dict) else ():
            if isinstance(value, str) and value and Path(value).parent.name == workspace.artefacts.name:
                yield Path(value).name
                yield from workspace.ancestors(Path(value).name)


def _beside(workspace: Workspace, days: float) -> Iterator[Item]:
    """Checkpoints of finished runs, caches, and what was left half-written."""
    now = time.time()
    for folder in sorted((workspace.root / "runs").glob("*/checkpoints")):
        if workspace.has(folder.parent.name):
            yield Item("checkpoints", folder, size(folder), "the run has left its artefact")
    cache = workspace.root / "cache"
    if cache.is_dir() and now - cache.stat().st_mtime > days * 86_400:
        yield Item("cache", cache, size(cache), "what it holds is computed again when it is wanted")
    for folder in sorted(workspace.artefacts.glob(".*.*")):
        if folder.is_dir() and now - folder.stat().st_mtime > STALE_S:
            yield Item("leftover", folder, size(folder), f"a process died before it had a {MANIFEST}")


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
