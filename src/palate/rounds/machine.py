"""The round as a machine that can be stopped anywhere: it looks what is done, does the next step, and writes that down.

A step is found again by what it left: its artefact's id follows from settings and inputs, so a step that was cut off
goes on, one whose inputs did not change costs nothing, and what comes out does not depend on how often it was cut off.
What stands in the journal is who began a round, which settings it has, and what came of each step.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import identify
from palate.core.errors import DataError, Interrupted, PalateError
from palate.rounds import project as projects
from palate.rounds import steps as every_step
from palate.rounds.step import Context, Done, Outcome, Refused, Waiting
from palate.store import rounds
from palate.store.rounds import Round

LOCK: Final = "round.lock"
"""In `runs/`: held by the process that is at work on a round, with its number."""
STEPS: Final[dict[str, Callable[[Context], Outcome]]] = every_step.STEPS


class Turn(NamedTuple):
    """How far a round has come."""

    round: Round
    state: str
    """done, waiting, failed or stopped; began while somebody is at work or was cut off."""
    step: str
    """The one that waits or failed, or the next; "" when all are done."""
    why: str = ""
    made: Mapping[str, str] = {}


def begin(context: Context, *, actor: str = "") -> Context:
    """Write down that a round begins, with the settings of the project as they are.

    Args:
        context: Its `round` does not matter yet.
        actor: Who began it.

    Raises:
        DataError: another round is under way.
    """
    earlier = rounds.every(context.journal)
    parent = next((one for one in reversed(earlier) if rounds.state(context.journal, one.id) == "done"), None)
    recipe = {"project": context.project.as_dict(), "inputs": inputs(context)}
    made = rounds.begin(context.journal, recipe, parent=parent.id if parent else "", actor=actor)
    return taken_up(replace(context, round=made))


def taken_up(context: Context) -> Context:
    """A round's context with the settings that it began with, and all that was made so far.

    Raises:
        DataError: a file that it began with has changed.
    """
    made = context.round
    now = inputs(context)
    if changed := [name for name, id in made.recipe["inputs"].items() if now.get(name) != id]:
        raise DataError(
            f"what round {made.number} began with has changed", found=", ".join(changed),
            hint="put it back, or `palate round abort` and start another",
        )  # fmt: skip
    every = rounds.every(context.journal)
    earlier = tuple(one for one in every if one.number < made.number)
    return replace(
        context,
        project=projects.for_round(projects.of(made.recipe["project"]), made.number),
        earlier=earlier,
        made=left(context, made.id),
        before=left(context, made.parent) if made.parent else {},
    )


def inputs(context: Context) -> dict[str, str]:
    """Ids of what a round begins with, by name."""
    found = {"base": identify(context.root / context.project.files.base)}
    for name in ("prompts", "heldout", "red_team", "constitution"):
        if file := getattr(context.project.files, name):
            found[name] = identify(context.root / file)
    if context.material.demonstrations:
        found["demonstrations"] = identify(context.material.demonstrations)
    return found


def left(context: Context, id: str) -> dict[str, str]:
    """By step, what a round has left and what is still there; "" of a step that leaves nothing."""
    found: dict[str, str] = {}
    for one in rounds.steps(context.journal, id):
        if one.step and one.state == "done" and (not one.artefact or context.workspace.has(one.artefact)):
            found[one.step] = one.artefact
    return found


def go(context: Context) -> Turn:
    """Do the steps that are left, until the round is done, waits for people, or is refused.

    Raises:
        DataError: another process is at work on a round.
        Interrupted: somebody asked it to stop; the same call goes on.
        PalateError: a step cannot be done; it stands in the journal, and the same call tries it again.
    """
    with alone(context.workspace.root / "runs"):
        for step in context.project.steps:
            if step in context.made:
                continue
            if rounds.state(context.journal, context.round.id) == "stopped":
                return status(context)
            outcome = _done(context, step)
            if not isinstance(outcome, Done):
                return status(context)
            context = replace(context, made=left(context, context.round.id))
        if rounds.state(context.journal, context.round.id) not in rounds.OVER:
            rounds.note(context.journal, context.round.id, "", "done")
        return status(context)


def _done(context: Context, step: str) -> Outcome:
    """One step, written down whatever comes of it."""
    journal, id = context.journal, context.round.id
    rounds.note(journal, id, step, "began")
    try:
        outcome = STEPS[step](context)
    except Interrupted:
        raise
    except PalateError as error:
        rounds.note(journal, id, step, "failed", details={"why": error.what, "where": error.where, "hint": error.hint})
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise PalateError(
            "the disk is full", where=str(error.filename or context.workspace.root),
            hint="make room; `palate round resume` goes on, and nothing is lost",
        ) from error  # fmt: skip
    if isinstance(outcome, Waiting):
        rounds.note(journal, id, step, "waiting", details={"why": outcome.why, **outcome.details})
        return outcome
    artefact = outcome.artefact.name if outcome.artefact else ""
    told: dict[str, Any] = dict(outcome.details)
    if isinstance(outcome, Refused):
        rounds.note(journal, id, step, "failed", artefact=artefact, details={"why": outcome.why, **told})
        return outcome
    if artefact and context.before.get(step) == artefact:
        told["unchanged"] = True
    rounds.note(journal, id, step, "done", artefact=artefact, details=told)
    return outcome


def status(context: Context) -> Turn:
    """How far a round has come."""
    made = left(context, context.round.id)
    state = rounds.state(context.journal, context.round.id)
    step = next((one for one in context.project.steps if one not in made), "")
    last = [one for one in rounds.steps(context.journal, context.round.id) if one.step == step]
    why = ""
    if state not in rounds.OVER and last:
        state, why = last[-1].state, str(last[-1].details.get("why", ""))
    return Turn(context.round, state, step, why, made)


def override(context: Context, why: str, *, actor: str = "") -> None:
    """Let a round pass a gate that it failed; the reason stands in the journal.

    Raises:
        DataError: it did not fail a gate, or no reason is given.
    """
    now = status(context)
    if now.state != "failed" or now.step != "gate":
        raise DataError("there is no failed gate to override", found=f"round {now.round.number} is {now.state}")
    if not why.strip():
        raise DataError("an override needs a reason", hint="--override --why '…'")
    steps = [one for one in rounds.steps(context.journal, context.round.id) if one.step == "gate"]
    rounds.note(
        context.journal, context.round.id, "gate", "overridden", artefact=steps[-1].artefact,
        details={"why": why, "actor": actor},
    )  # fmt: skip
    rounds.note(context.journal, context.round.id, "gate", "done", artefact=steps[-1].artefact, details={"why": why})


def abort(context: Context, *, why: str = "") -> bool:
    """End a round; whether a process was at work on it on this machine, which is told to stop.

    Raises:
        DataError: it is over.
    """
    if rounds.state(context.journal, context.round.id) in rounds.OVER:
        raise DataError("a round that is over cannot be aborted", found=f"round {context.round.number}")
    rounds.note(context.journal, context.round.id, "", "stopped", details={"why": why})
    holder = holding(context.workspace.root / "runs")
    if holder:
        os.kill(holder, signal.SIGTERM)
    return bool(holder)


def holding(runs: Path) -> int:
    """The process that is at work on a round, 0 when none is."""
    path = runs / LOCK
    if not path.is_file():
        return 0
    with path.open("r+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return int(handle.read() or 0)
    return 0


@contextmanager
def alone(runs: Path) -> Iterator[None]:
    """Be the only one at work on rounds here; a process that dies lets go.

    Raises:
        DataError: somebody else is.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / LOCK).open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                "another process is at work on a round here", found=f"process {holding(runs)}",
                hint="wait for it, or `palate round abort`",
            ) from None  # fmt: skip
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
