"""Releases: a policy becomes one, names go to it and back, and what they stand for is what is served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import MANIFEST, Manifest, Workspace, identify, read_manifest
from palate.core.errors import ConfigError, DataError, MissingArtefact, ModelError
from palate.guardrails import loading
from palate.rounds import model_card
from palate.store import releases, taints
from palate.store.journal import Journal
from palate.store.releases import STABLE, Named, Release

_SUFFIXES: Final = (".json", ".safetensors", ".model", ".jinja", ".txt")
"""Files of a model that are taken along; weights in any other form are never loaded."""
_CONFIGS: Final = ("config.json", "adapter_config.json")
BACK: Final = "rolled back from "
"""How the reason of a rollback begins, by which the walk back knows its own steps."""


class Back(NamedTuple):
    """What a rollback did."""

    alias: str
    before: str
    """Release that had the name."""
    now: Release
    """The one that has it again."""
    further: int
    """How many releases a rollback could still go back after this one."""


class Line(NamedTuple):
    """A release in a list."""

    release: Release
    aliases: tuple[tuple[str, str], ...]
    """Names that it has, and since when."""
    taints: tuple[str, ...]
    """Artefacts among what it was made from, itself included, that an erasure has tainted."""
    there: bool
    """Whether its policy is still among the artefacts."""


def add(
    journal: Journal, workspace: Workspace, policy: Path, *, guardrails: Path | None = None, gate: str = "",
    round_: str = "", why: str = "", actor: str = "",
) -> Release:  # fmt: skip
    """Register a policy, and keep its model card. The same policy under the same guardrails is the same release.

    Args:
        journal: The journal.
        workspace: Where its artefact is, or is put: a folder from elsewhere is copied.
        policy: A policy artefact or a model folder.
        guardrails: A file, or the folder of a version.
        gate: Id of the artefact that says what it passed.
        round_: Id of the round that made it.
        why: Reason for releasing it without a gate, or though it did not pass. It stands in the audit log.
        actor: Who does it.

    Raises:
        ConfigError: it passed no gate and no reason is given.
        MissingArtefact: there is no model, or no such gate.
        ModelError: it is no policy.
    """
    if not gate and not why.strip():
        raise ConfigError(
            "a release that passed no gate needs a reason",
            expected="--why, which stands in the audit log, or --gate",
            found="neither",
        )
    if gate:
        workspace.manifest(gate)
    id = take(policy, workspace)
    version = loading.freeze(guardrails, workspace).name if guardrails else ""
    card = model_card.keep(journal, workspace, model_card.Released(id, version, gate, round_, why.strip()))
    return releases.add(
        journal, id, guardrails=version, round_=round_, gate=gate, why=why.strip(), card=card, actor=actor
    )


def take(folder: Path, workspace: Workspace) -> str:
    """The id of a policy as an artefact of this project; a folder from elsewhere is copied into it first.

    It is copied and not linked: who trains on in the first place would otherwise change what is released.

    Raises:
        MissingArtefact: there is no model.
        ModelError: it is no policy.
    """
    _refuse_what_cannot_answer(folder)
    id = identify(folder)
    if workspace.has(id):
        return id
    if (folder / MANIFEST).is_file():
        manifest = read_manifest(folder)
    else:
        manifest = Manifest(
            kind="model",
            made_by="release add",
            config={},
            inputs={"folder": id},
            facts={"from": str(folder.resolve())} | _licence(folder),
        )

    def write(target: Path) -> None:
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.suffix in _SUFFIXES and file.name != MANIFEST:
                shutil.copyfile(file, target / file.name)

    return workspace.put(manifest, write).name


def name(journal: Journal, alias: str, named: str, *, why: str = "", actor: str = "") -> Release:
    """Give a name to a release, called by id, another name or policy.

    Raises:
        DataError: there is no such release, the name is none, or the reason is a rollback's.
    """
    found = releases.get(journal, named)
    if why.startswith(BACK):
        raise DataError("this reason is for rollbacks alone", where="--why", found=repr(why))
    releases.point(journal, alias, found.id, why=why.strip(), actor=actor)
    return found


def take_away(journal: Journal, alias: str, *, why: str = "", actor: str = "") -> str:
    """Take a name away; the release that had it.

    Raises:
        DataError: nothing has it.
    """
    had = releases.aliases(journal).get(alias)
    if had is None:
        raise DataError("no release has this name", found=repr(alias))
    releases.point(journal, alias, "", why=why.strip(), actor=actor)
    return had


def back(journal: Journal, workspace: Workspace, alias: str = STABLE, *, why: str = "", actor: str = "") -> Back:
    """Give a name back to the release that had it before. Twice in a row goes two releases back.

    Raises:
        DataError: no release had it before.
        MissingArtefact: the policy of that release is gone.
    """
    history = releases.history(journal, alias)
    before = history[-1].release if history else ""
    road = way_back(history)
    if not road:
        raise DataError(
            "there is nothing to go back to",
            expected=f"a release that was `{alias}` before",
            found=f"`{before}`, the first" if before else f"no release was ever `{alias}`",
        )
    found = releases.get(journal, road[-1])
    if not workspace.has(found.policy):
        raise MissingArtefact(
            f"the policy of release {found.id} is gone",
            where=str(workspace.path(found.policy)),
            hint=f"`palate release name {alias} RELEASE` names another",
        )
    told = f"{BACK}{before or 'no release'}" + (f": {why.strip()}" if why.strip() else "")
    releases.point(journal, alias, found.id, why=told, actor=actor)
    return Back(alias, before, found, len(road) - 1)


def way_back(history: Sequence[Named]) -> list[str]:
    """Releases that rollbacks of one name would go to, the next one last.

    Each naming is a step onwards; a rollback takes the last step back, so that what came after it is forgotten.

    Args:
        history: What releases the name was given to, the oldest first.
    """
    road: list[str] = []
    for step in history:
        if step.why.startswith(BACK) and step.release in road:
            del road[len(road) - road[::-1].index(step.release) :]
        elif not road or road[-1] != step.release:
            road.append(step.release)
    here = road.pop() if road else ""
    while road and road[-1] in ("", here):
        road.pop()
    return [one for one in road if one]


def lines(journal: Journal, workspace: Workspace) -> list[Line]:
    """All releases, the first one first, with what is worth knowing of each."""
    since = {one.alias: one.at for one in releases.history(journal)}
    named = releases.aliases(journal)
    marked = {one.artefact for one in taints.every(journal)}
    return [
        Line(
            one,
            tuple((alias, since[alias]) for alias, id in named.items() if id == one.id),
            tuple(sorted(marked & made_from(workspace, one))) if marked else (),
            workspace.has(one.policy),
        )
        for one in releases.every(journal)
    ]


def described(release: Release) -> model_card.Released:
    """What a release's card is about."""
    return model_card.Released(release.policy, release.guardrails, release.gate, release.round, release.why)


def made_from(workspace: Workspace, release: Release) -> set[str]:
    """Ids of a release's policy and guardrails, and of everything that they were made from."""
    found = {one for one in (release.policy, release.guardrails) if one}
    return found | {parent for one in tuple(found) for parent in workspace.ancestors(one)}


def _licence(folder: Path) -> dict[str, str]:
    """What the folder's own card says, if it has one."""
    card = folder / model_card.CARD
    if not card.is_file():
        return {}
    head = card.read_text(encoding="utf-8", errors="replace").partition("---")[2].partition("\n---")[0]
    said = next((line.partition(":")[2].strip() for line in head.splitlines() if line.startswith("license:")), "")
    return {"license": said.strip("'\"")} if said else {}


def _refuse_what_cannot_answer(folder: Path) -> None:
    if not folder.is_dir():
        raise MissingArtefact("there is no model to release", where=str(folder), expected="a folder")
    config = next((folder / one for one in _CONFIGS if (folder / one).is_file()), None)
    if config is None or not any(folder.glob("*.safetensors")):
        raise ModelError(
            "this folder holds no model",
            where=str(folder),
            expected=f"{' or '.join(_CONFIGS)}, and weights as safetensors",
            found=", ".join(sorted(one.name for one in folder.iterdir())[:8]) or "an empty folder",
        )
    try:
        told = json.loads(config.read_text(encoding="utf-8"))
        made = told.get("architectures") or [told.get("task_type") or ""]
    except (ValueError, AttributeError) as error:
        raise ModelError("a model's configuration cannot be read", where=str(config), found=str(error)) from error
    if any("Classification" in str(one) or one == "SEQ_CLS" for one in made):
        raise ModelError(
            "a reward model answers nobody",
            where=str(folder),
            expected="a causal language model",
            found=", ".join(map(str, made)),
        )
