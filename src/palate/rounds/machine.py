"""The round as a machine that can be stopped anywhere: it looks what is done, does the next step, and writes that down.

A step is found again by what it left: its artefact's id follows from settings and inputs, so a step that was cut off
goes on, one whose inputs did not change costs nothing, and what comes out does not depend on how often it was cut off.
What stands in the journal is who began a round, which settings it has, and what came of each step.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

from palate.core.artefacts import identify
from palate.core.errors import DataError, Interrupted, PalateError, StoreError
from palate.rounds import project as projects
from palate.rounds.evaluating import ASKED
from palate.rounds.step import Context, Done, Outcome, Refused, Waiting
from palate.rounds.steps import STEPS
from palate.rounds.turn import Turn, alone, left, look
from palate.store import rounds


def begin(context: Context, *, actor: str = "", expected: int = 0) -> Context:
    """Write down that a round begins, with the settings of the project as they are.

    Args:
        context: Of a project; which round it names does not matter.
        actor: Who began it.
        expected: The number that it must get; 0: any.

    Raises:
        DataError: another round is under way, or came first.
    """
    earlier = rounds.every(context.journal)
    parent = next((one.id for one in reversed(earlier) if rounds.state(context.journal, one.id) == "done"), "")
    recipe = {
        "project": context.project.as_dict(), "steps": list(context.project.steps), "inputs": inputs(context)
    }  # fmt: skip
    made = rounds.begin(context.journal, recipe, parent=parent, actor=actor, expected=expected)
    return taken_up(replace(context, round=made))


def taken_up(context: Context) -> Context:
    """The context of a round that has begun: the settings it began with, and all that was made so far.

    Raises:
        DataError: a file that it began with has changed.
    """
    made = context.round
    project = projects.of(made.recipe["project"])
    now = inputs(replace(context, project=project))
    if changed := [name for name, id in made.recipe["inputs"].items() if now.get(name) != id]:
        raise DataError(
            f"what round {made.number} began with has changed", found=", ".join(changed),
            hint="put it back, or `palate round abort` and start another",
        )  # fmt: skip
    return replace(
        context,
        project=projects.for_round(project, made.number),
        earlier=tuple(one for one in rounds.every(context.journal) if one.number < made.number),
        made=left(context.journal, context.workspace, made.id),
        before=left(context.journal, context.workspace, made.parent) if made.parent else {},
    )


def inputs(context: Context) -> dict[str, str]:
    """Ids of what a round begins with, by name."""
    files = context.project.files
    named = {name: getattr(files, name) for name in ("base", "prompts", "heldout", "red_team", "constitution")}
    asked = context.project.evaluate
    named |= {f"evaluate/{name}": getattr(asked, name) for name in ASKED}
    found = {name: identify(context.root / file) for name, file in named.items() if file}
    if context.material.demonstrations:
        found["demonstrations"] = identify(context.material.demonstrations)
    return found


def go(context: Context) -> Turn:
    """Do the steps that are left, until the round is done, waits for people, or is refused.

    Raises:
        DataError: another process is at work on a round.
        Interrupted: somebody asked it to stop; the same call goes on.
        PalateError: a step cannot be done; it stands in the journal, and the same call tries it again.
    """
    journal, workspace, made = context.journal, context.workspace, context.round
    with alone(workspace):
        for step in context.project.steps:
            if step in context.made:
                continue
            if rounds.state(journal, made.id) in rounds.OVER:  # somebody ended it
                return look(journal, workspace, made)
            if not isinstance(_done(context, step), Done):
                return look(journal, workspace, made)
            context = replace(context, made=left(journal, workspace, made.id))
        if rounds.state(journal, made.id) not in rounds.OVER:
            rounds.note(journal, made.id, "", "done")
        return look(journal, workspace, made)


def _done(context: Context, step: str) -> Outcome:
    """One step, written down whatever comes of it."""
    journal, id = context.journal, context.round.id
    rounds.note(journal, id, step, "began")
    try:
        outcome = STEPS[step](context)
    except (Interrupted, StoreError):  # a journal that refuses cannot be told so
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
