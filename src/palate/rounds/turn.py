"""How far a round has come, and who is at work on it: read off the journal and the artefacts, without torch."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from palate.core.artefacts import Workspace
from palate.core.errors import DataError
from palate.store import rounds
from palate.store.journal import Journal
from palate.store.rounds import Round

LOCK: Final = "round.lock"
"""In `runs/`: held by the process that is at work on a round."""


class Turn(NamedTuple):
    """How far a round has come."""

    round: Round
    state: str
    """done, waiting, failed or stopped; began while somebody is at work, or where that was cut off."""
    step: str
    """The one that waits or failed, or the next; "" when all are done."""
    why: str
    made: Mapping[str, str]
    """By step that is done, the id of what it left; "" of a step that leaves nothing."""


def look(journal: Journal, workspace: Workspace, round_: Round) -> Turn:
    """How far a round has come."""
    made = left(journal, workspace, round_.id)
    told = rounds.steps(journal, round_.id)
    state = rounds.state(journal, round_.id)
    step = next((one for one in round_.recipe.get("steps", ()) if one not in made), "")
    last = [one for one in told if one.step == step]
    if state in rounds.OVER or not last:
        return Turn(round_, state, step, "", made)
    return Turn(round_, last[-1].state, step, str(last[-1].details.get("why", "")), made)


def left(journal: Journal, workspace: Workspace, round_: str) -> dict[str, str]:
    """By step, what a round has left and what is still there; "" of a step that leaves nothing."""
    return {
        one.step: one.artefact
        for one in rounds.steps(journal, round_)
        if one.step and one.state == "done" and (not one.artefact or workspace.has(one.artefact))
    }


def override(journal: Journal, workspace: Workspace, round_: Round, why: str, *, actor: str = "") -> None:
    """Let a round pass a gate that it failed; the reason stands in the journal.

    Raises:
        DataError: it did not fail a gate, or no reason is given.
    """
    now = look(journal, workspace, round_)
    if now.state != "failed" or now.step != "gate":
        raise DataError(
            "there is no failed gate to override", found=f"round {round_.number}: {now.state} {now.step}".strip()
        )
    if not why.strip():
        raise DataError("an override needs a reason", hint="--override --why '…'")
    artefact = [one for one in rounds.steps(journal, round_.id) if one.step == "gate"][-1].artefact
    for state in ("overridden", "done"):
        rounds.note(journal, round_.id, "gate", state, artefact=artefact, details={"why": why.strip(), "actor": actor})


def abort(journal: Journal, workspace: Workspace, round_: Round, *, why: str = "") -> bool:
    """End a round; whether a process was at work on it on this machine, which is told to stop.

    Raises:
        DataError: it is over.
    """
    if rounds.state(journal, round_.id) in rounds.OVER:
        raise DataError("a round that is over cannot be aborted", found=f"round {round_.number}")
    rounds.note(journal, round_.id, "", "stopped", details={"why": why})
    holder = holding(workspace)
    if holder:
        os.kill(holder, signal.SIGTERM)
    return bool(holder)


def holding(workspace: Workspace) -> int:
    """The process that is at work on a round here, 0 when none is."""
    path = workspace.root / "runs" / LOCK
    if not path.is_file():
        return 0
    with path.open("r+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return int(handle.read() or 0)
    return 0


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Be the only one at work on rounds here; a process that dies lets go.

    Raises:
        DataError: somebody else is.
    """
    runs = workspace.root / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / LOCK).open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                "another process is at work on a round here", found=f"process {holding(workspace)}",
                hint="wait for it, or `palate round abort`",
            ) from None  # fmt: skip
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
