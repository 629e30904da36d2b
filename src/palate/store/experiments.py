"""A/B tests of releases: what is tested, who was served by which, and how it ended."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select

from palate.core.errors import DataError
from palate.core.ids import canonical_json, content_id
from palate.store import audit, schema
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time, require

STATES: Final = ("began", "decided", "stopped")


class Experiment(NamedTuple):
    """An A/B test."""

    id: str
    name: str
    arms: dict[str, float]
    """Releases' ids, the control first, and the share of people that each gets; they add up to 1."""
    plan: dict[str, Any]
    """What was fixed before it began."""
    actor: str = ""
    at: str = ""
    """UTC, ISO 8601."""


class Step(NamedTuple):
    """It began, was decided, or was stopped."""

    state: str
    details: dict[str, Any]
    actor: str
    at: str


class Assigned(NamedTuple):
    """A person's first time in a test."""

    person: str
    """A pseudonym."""
    arm: str
    at: str


def begin(
    journal: Journal, name: str, arms: Mapping[str, float], plan: Mapping[str, Any], *, actor: str = ""
) -> Experiment:
    """Begin a test.

    Raises:
        DataError: another is under way, shares do not add up to 1, or a release is unknown.
    """
    if len(arms) < 2 or min(arms.values()) <= 0 or not math.isclose(sum(arms.values()), 1, abs_tol=1e-9):
        raise DataError(
            "these cannot be the arms of a test", expected="two releases or more, with shares above 0 that make 1",
            found=str(dict(arms)),
        )  # fmt: skip
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    # Arms keep their order, for the first of them is the control.
    told = {"arms": json.dumps(dict(arms)), "plan": canonical_json(dict(plan)), "name": name, "at": at}
    row = {"id": content_id("experiment", told), "actor": actor, **told}
    with journal.transaction() as connection:
        one_at_a_time(connection, "experiment")
        if running := current(journal):
            raise DataError("a test is under way", found=running.name, hint="`palate ab stop` ends it")
        require(connection, schema.release.c.id, arms, who="arms")
        connection.execute(insert(schema.experiment), row)
        _note(connection, row["id"], "began", {}, actor)
        audit.note(connection, actor, "began an A/B test", row["id"], name=name)
    return _experiment(row)


def end(journal: Journal, experiment: str, state: str, *, details: Mapping[str, Any], actor: str = "") -> None:
    """End a test: `decided` by its own rule, or `stopped` by somebody.

    Raises:
        DataError: it is over, or there is no such test.
    """
    with journal.transaction() as connection:
        one_at_a_time(connection, "experiment")
        if state not in STATES[1:] or (
            steps(journal, experiment)[-1:] and steps(journal, experiment)[-1].state != "began"
        ):
            raise DataError("a test that is over cannot end again", expected=" or ".join(STATES[1:]), found=state)
        require(connection, schema.experiment.c.id, [experiment], who="steps")
        _note(connection, experiment, state, details, actor)
        audit.note(connection, actor, f"{state} an A/B test", experiment)


def every(journal: Journal) -> list[Experiment]:
    """All tests, the first one first."""
    table = schema.experiment
    with journal.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.seq)).mappings().all()
    return [_experiment(dict(row)) for row in rows]


def current(journal: Journal) -> Experiment | None:
    """The test that is under way: the last one, if it has not ended."""
    last = every(journal)[-1:]
    return last[0] if last and steps(journal, last[0].id)[-1].state == "began" else None


def steps(journal: Journal, experiment: str) -> list[Step]:
    """What happened to a test, in its order."""
    table = schema.experiment_step
    query = select(table).where(table.c.experiment == experiment).order_by(table.c.seq)
    with journal.reading() as connection:
        return [Step(row.state, json.loads(row.details), row.actor, row.at) for row in connection.execute(query)]


def assign(journal: Journal, experiment: str, person: str, arm: str) -> str:
    """Write down a person's first time; the arm that stands, which is the earlier one where there is one."""
    table = schema.assignment
    query = select(table.c.arm).where(table.c.experiment == experiment, table.c.person == person)
    with journal.reading() as connection:
        if (found := connection.execute(query).scalar()) is not None:
            return str(found)
    row = {"experiment": experiment, "person": person, "arm": arm}
    with journal.transaction() as connection:
        one_at_a_time(connection, "assignment")
        if (found := connection.execute(query).scalar()) is not None:
            return str(found)
        require(connection, schema.experiment.c.id, [experiment], who="assignments")
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        connection.execute(insert(table), {**row, "at": at})
    return arm


def assigned(journal: Journal, experiment: str) -> list[Assigned]:
    """Who was in a test, in the order in which they came."""
    table = schema.assignment
    query = select(table).where(table.c.experiment == experiment).order_by(table.c.seq)
    with journal.reading() as connection:
        return [Assigned(row.person, row.arm, row.at) for row in connection.execute(query)]


def _note(connection: Any, experiment: str, state: str, details: Mapping[str, Any], actor: str) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    row = {"experiment": experiment, "state": state, "details": canonical_json(dict(details)), "actor": actor, "at": at}
    connection.execute(insert(schema.experiment_step), row)


def _experiment(row: Mapping[str, Any]) -> Experiment:
    return Experiment(row["id"], row["name"], json.loads(row["arms"]), json.loads(row["plan"]), row["actor"], row["at"])
