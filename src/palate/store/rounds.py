"""Turns of the cycle, and what happened in each, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, select

from palate.core.errors import DataError
from palate.core.ids import canonical_json, content_id
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time, require

STATES: Final = ("began", "waiting", "done", "failed", "stopped", "overridden")
"""What may be said of a step, or with the step "" of a round: `waiting` is for people, `stopped` was asked for."""
OVER: Final = ("done", "stopped")
"""Of a round: nothing more comes."""


class Round(NamedTuple):
    """One turn of the cycle."""

    id: str
    number: int
    """Counted from 1 in this project."""
    parent: str
    """Id of the round whose policy it begins with, "" where it begins with none."""
    recipe: dict[str, Any]
    """Resolved settings."""
    actor: str = ""
    at: str = ""
    """UTC, ISO 8601."""


class Step(NamedTuple):
    """Something that happened in a round."""

    round: str
    step: str
    """"" of the round as a whole."""
    state: str
    """One of `STATES`."""
    artefact: str
    """Id of what came of it, "" where nothing did."""
    details: dict[str, Any]
    at: str


def begin(
    journal: Journal, recipe: Mapping[str, Any], *, parent: str = "", actor: str = "", expected: int = 0
) -> Round:
    """Write down that a round begins; it gets the next number.

    Args:
        journal: The journal.
        recipe: Resolved settings; JSON.
        parent: The round whose policy it begins with.
        actor: Who began it.
        expected: The number that it must get, for those who decide by themselves and may not be alone; 0: any.

    Raises:
        DataError: another is under way or came first, or there is no such parent.
    """
    told = canonical_json(dict(recipe))
    table = schema.round_
    with journal.transaction() as connection:
        one_at_a_time(connection, "round")
        if open_ := [one for one in every(journal) if state(journal, one.id) not in OVER]:
            raise DataError(
                "a round is under way", found=f"round {open_[0].number}",
                hint="`palate round resume` goes on with it, `palate round abort` ends it",
            )  # fmt: skip
        if parent:
            require(connection, table.c.id, [parent], who="rounds")
        number = (connection.execute(select(func.max(table.c.number))).scalar() or 0) + 1
        if expected not in (0, number):
            raise DataError("another round came first", expected=f"round {expected}", found=f"round {number}")
        row: dict[str, Any] = {
            "id": content_id("round", [number, parent, told]), "number": number, "parent": parent, "recipe": told,
            "actor": actor, "at": _now(),
        }  # fmt: skip
        connection.execute(insert(table), row)
        _note(connection, row["id"], "", "began", "", {})
    return _round(row)


def note(
    journal: Journal,
    round_: str,
    step: str,
    state: str,
    *,
    artefact: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write down what happened.

    Args:
        journal: The journal.
        round_: Id.
        step: Name, "" for the round as a whole.
        state: One of `STATES`.
        artefact: Id of what came of it.
        details: JSON.

    Raises:
        DataError: there is no such round or state.
    """
    if state not in STATES:
        raise DataError("a step can be in no such state", expected=", ".join(STATES), found=repr(state))
    with journal.transaction() as connection:
        require(connection, schema.round_.c.id, [round_], who="steps")
        _note(connection, round_, step, state, artefact, details or {})


def every(journal: Journal) -> list[Round]:
    """All rounds, the first one first."""
    with journal.reading() as connection:
        rows = connection.execute(select(schema.round_).order_by(schema.round_.c.seq)).mappings().all()
    return [_round(dict(row)) for row in rows]


def steps(journal: Journal, round_: str) -> list[Step]:
    """What happened in a round, in its order."""
    table = schema.round_step
    with journal.reading() as connection:
        rows = connection.execute(select(table).where(table.c.round == round_).order_by(table.c.seq)).all()
    return [Step(row.round, row.step, row.state, row.artefact, json.loads(row.details), row.at) for row in rows]


def state(journal: Journal, round_: str) -> str:
    """Of the round as a whole: the last that was said of it."""
    told: str = next(one.state for one in reversed(steps(journal, round_)) if not one.step)
    return told


def _note(connection: Any, round_: str, step: str, state: str, artefact: str, details: Mapping[str, Any]) -> None:
    row = {"round": round_, "step": step, "state": state, "artefact": artefact, "at": _now()}
    connection.execute(insert(schema.round_step), {**row, "details": canonical_json(dict(details))})


def _round(row: Mapping[str, Any]) -> Round:
    return Round(row["id"], row["number"], row["parent"], json.loads(row["recipe"]), row["actor"], row["at"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
