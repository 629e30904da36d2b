"""What `palate serve` is to answer with: the releases that have names, each under its own guardrails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, MissingArtefact
from palate.guardrails import loading
from palate.guardrails.guard import Guardrails
from palate.serving.following import Source
from palate.serving.swapping import Wanted
from palate.store import releases
from palate.store.journal import Journal
from palate.store.releases import CANARY, STABLE

SERVED: Final = (STABLE, CANARY)
"""Names that are served where nobody asks for others."""


def source(
    journal: Journal, workspace: Workspace, aliases: Sequence[str] = SERVED, folders: Mapping[str, Path] | None = None
) -> Source:
    """Where the server looks what is to answer.

    Args:
        journal: The journal, in which the names stand.
        workspace: Where the policies are.
        aliases: Names that are served as soon as a release has them.
        folders: Policies that are served beside them, by names that nobody moves.
    """
    return Source(lambda: releases.moved(journal), lambda: wanted(journal, workspace, aliases, folders))


def wanted(
    journal: Journal, workspace: Workspace, aliases: Sequence[str] = SERVED, folders: Mapping[str, Path] | None = None
) -> Wanted:
    """What the names stand for now, in the order of `aliases`.

    Raises:
        ConfigError: no release has any of these names, or two of them need different reward models.
        MissingArtefact: a policy, or a version of the guardrails, is gone.
    """
    known = {one.id: one for one in releases.every(journal)}
    named = releases.aliases(journal)
    found = {alias: known[named[alias]] for alias in aliases if alias in named}
    if not found and not folders:
        raise ConfigError(
            "no release has a name that is served",
            expected=" or ".join(aliases),
            found=", ".join(named) or "no name at all",
            hint="`palate release add POLICY` and `palate release name stable RELEASE`",
        )
    guards: dict[str, Guardrails | None] = {}
    rewards: dict[str, Path] = {}
    for alias, one in found.items():
        for id in (one.policy, one.guardrails):
            if id and not workspace.has(id):
                raise MissingArtefact(f"`{alias}` cannot be served", where=one.id, expected=str(workspace.path(id)))
        guards[alias] = loading.load(workspace.path(one.guardrails)) if one.guardrails else None
        reward = loading.reward_of(workspace.path(one.guardrails)) if one.guardrails else None
        if reward is not None:
            rewards[alias] = reward
    if len(set(rewards.values())) > 1:
        raise ConfigError(
            "the guardrails of two releases ask different reward models, and a server has one",
            expected="one reward model",
            found=", ".join(f"{alias}: {reward}" for alias, reward in rewards.items()),
        )
    given = {name: folder for name, folder in (folders or {}).items() if name not in found}
    return Wanted(
        policies={one.policy: workspace.path(one.policy).absolute() for one in found.values()} | given,
        names={alias: one.policy for alias, one in found.items()} | {name: name for name in given},
        guards=guards,
        reward=next(iter(rewards.values()), None),
        releases={alias: one.id for alias, one in found.items()},
    )
