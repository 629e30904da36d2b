"""One look of the continuous mode: what is to be done is done, by as many watchers as there are, once."""

from __future__ import annotations

from collections.abc import Callable

from palate.core.artefacts import Workspace
from palate.core.errors import DataError
from palate.rounds import machine
from palate.rounds.continuous import ContinuousConfig, next_
from palate.rounds.machine import go
from palate.rounds.step import Context
from palate.rounds.turn import Turn, holding
from palate.store import rounds
from palate.store.journal import Journal
from palate.store.rounds import Round


def look_once(
    config: ContinuousConfig, journal: Journal, workspace: Workspace, context: Callable[[Round | None], Context]
) -> str:
    """Begin a round, go on with one, or wait.

    Args:
        config: When a round begins.
        journal: The project's.
        workspace: Its artefacts.
        context: Makes what a round needs, for one that has begun or, with None, for one that has not.

    Returns:
        What was done, in a sentence.
    """
    now = next_(journal, workspace, config)
    if now.do == "wait":
        return f"Waiting: {now.why}."
    if holder := holding(workspace):
        return f"Waiting: process {holder} is at work."
    if now.do == "resume":
        return _told(go(context(rounds.every(journal)[-1])))
    try:
        begun = machine.begin(context(None), actor="continuous mode", expected=now.number)
    except DataError as error:  # another watcher was faster
        return f"Waiting: {error.what}."
    return _told(go(begun))


def _told(turn: Turn) -> str:
    where = f" at {turn.step}" if turn.step else ""
    why = f": {turn.why}" if turn.why else ""
    return f"Round {turn.round.number}: {turn.state}{where}{why}."
