"""What an erasure asks to be made anew, in the order in which it can be: datasets, models, releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.store import releases, rounds
from palate.store.journal import Journal


class Step(NamedTuple):
    """One thing to make anew."""

    artefact: str
    """What is tainted: an artefact, a round or a release."""
    do: str
    """The command, or what to do in words."""
    instead: dict[str, str]
    """Inputs that are tainted, and what stands in their place so far, "" where nothing does."""


def plan(journal: Journal, workspace: Workspace, tainted: Collection[str], instead: Mapping[str, str]) -> list[Step]:
    """Everything to make anew, what others are made from first.

    Args:
        journal: The project's.
        workspace: Its artefacts.
        tainted: Ids.
        instead: By id of what is tainted, what was made in its place.
    """
    of_rounds = _rounds(journal)
    found, turned = [], set()
    for id, manifest in _ordered(workspace, set(tainted)):
        if instead.get(id):
            found.append(Step(id, f"made anew as {instead[id]}", {}))
            continue
        inputs = {one: instead.get(one, "") for one in manifest.inputs.values() if one in tainted}
        if number := of_rounds.get(id):
            if number not in turned:
                found.append(Step(id, f"palate round start   (round {number} made it, and what follows)", inputs))
            turned.add(number)
        else:
            found.append(Step(id, f"palate {manifest.made_by}   (settings: its {workspace.path(id).name})", inputs))
    return [*found, *_releases(journal, set(tainted))]


def turns(journal: Journal, tainted: Collection[str]) -> Iterable[tuple[str, str]]:
    """Rounds and releases of what is tainted, each with why."""
    for id, number in _rounds(journal).items():
        if id in tainted:
            yield _round_id(journal, number), f"made {id}"
    for one in releases.every(journal):
        for id in (one.policy, one.gate, one.card, one.guardrails):
            if id in tainted:
                yield one.id, f"serves {id}" if id == one.policy else f"rests on {id}"
                break


def _ordered(workspace: Workspace, tainted: set[str]) -> list[tuple[str, Manifest]]:
    """What others are made from comes first."""
    left = {
        id: workspace.manifest(id) for id in sorted(tainted) if workspace.has(id) or workspace.path(id).is_dir()
    }  # fmt: skip
    found: list[tuple[str, Manifest]] = []
    while left:
        ready = [id for id, one in left.items() if not set(one.inputs.values()) & left.keys() - {id}]
        for id in ready or list(left):
            found.append((id, left.pop(id)))
    return found


def _rounds(journal: Journal) -> dict[str, int]:
    """By artefact, the last round that made it."""
    return {
        step.artefact: one.number
        for one in rounds.every(journal)
        for step in rounds.steps(journal, one.id)
        if step.artefact
    }


def _round_id(journal: Journal, number: int) -> str:
    return next(one.id for one in rounds.every(journal) if one.number == number)


def _releases(journal: Journal, tainted: set[str]) -> list[Step]:
    names = {release: alias for alias, release in releases.aliases(journal).items()}
    found = []
    for one in releases.every(journal):
        if one.policy in tainted:
            alias = names.get(one.id, "")
            do = f"`{alias}` still serves it: release what is made anew" if alias else "it serves nobody at present"
            found.append(Step(one.id, do, {one.policy: ""}))
    return found
