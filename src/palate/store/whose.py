"""Whose rows are whose: who a person is, what stands under their name, and which texts are nobody else's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, exists, or_, select

from palate.core.authors import WITHHELD
from palate.core.errors import DataError
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import among, matching


@dataclass(slots=True)
class Doomed:
    """Ids of what has to go."""

    prompts: set[str] = field(default_factory=set)
    completions: set[str] = field(default_factory=set)
    comparisons: set[str] = field(default_factory=set)
    slates: set[str] = field(default_factory=set)


class Who(NamedTuple):
    """A person, by all that names them."""

    name: str
    """The pseudonym."""
    accounts: tuple[str, ...]
    emails: tuple[str, ...]
    called: tuple[str, ...] = ()
    """What they are called on pages."""


def export_person(journal: Journal, person: str) -> dict[str, list[dict[str, Any]]]:
    """All that the journal holds about a person, by table, without secrets: what they may ask for.

    Raises:
        DataError: nobody of this name is known.
    """
    with journal.reading() as connection:
        who = who_is(connection, person)
        found = {table.name: _rows(connection, table, column == who.name) for table, column in BY_PERSON}
        accounts = _rows(connection, schema.account, among(connection, schema.account.c.id, who.accounts))
        found["account"] = [{name: value for name, value in row.items() if name != "password"} for row in accounts]
        done = among(connection, schema.audit.c.actor, who.accounts)
        found["audit"] = _rows(connection, schema.audit, done)
        texts = texts_of(connection, who.name)
        found["completion"] = _rows(connection, schema.completion, among(connection, schema.completion.c.id, texts))
        prompts = {row["prompt"] for row in found["completion"]}
        found["prompt"] = _rows(connection, schema.prompt, among(connection, schema.prompt.c.id, prompts))
    return {name: rows for name, rows in found.items() if rows}


def who_is(connection: Connection, person: str) -> Who:
    """The person of a pseudonym, or of an account's id or address.

    Raises:
        DataError: nobody of this name is known.
    """
    account = schema.account
    named = or_(account.c.id == person, account.c.rater == person, account.c.email == person.strip().lower())
    found = connection.execute(select(account).where(named)).all() if person else []
    # A program's account has no pseudonym; it can be named by its id alone.
    name = next((row.rater for row in found if row.rater), person)
    known = bool(found) or any(
        connection.execute(select(column).where(column == name).limit(1)).first() for _, column in BY_PERSON
    )
    if not known:
        raise DataError(
            "nobody of this name is known",
            expected="a pseudonym, or the id or address of an account",
            found=repr(person),
        )
    emails = tuple(row.email for row in found if row.email)
    return Who(name, tuple(row.id for row in found), emails, tuple(row.name for row in found if row.name))


def texts_of(connection: Connection, name: str) -> set[str]:
    """Completions that a person wrote, or that were made for them and shown to nobody else."""
    completion, exposure = schema.completion, schema.exposure.alias("theirs")
    other, finding = schema.exposure.alias("other"), schema.finding.alias("theirs")
    finder = schema.finding.alias("other_finder")
    seen = exists().where(other.c.completion == finding.c.completion, other.c.person != name)
    found = exists().where(finder.c.completion == finding.c.completion, finder.c.found_by != name)
    got = select(finding.c.completion).where(finding.c.found_by == name, ~seen, ~found)
    wrote = select(completion.c.id).where(completion.c.policy == f"person:{name}")
    alone = select(exposure.c.completion).where(
        exposure.c.person == name,
        ~exists().where(other.c.completion == exposure.c.completion, other.c.person != name),
    )
    return {one for query in (wrote, alone, got) for one in connection.execute(query).scalars()}


def doomed(connection: Connection, completions: set[str]) -> Doomed:
    """Some completions, the prompts that have no other, and all that shows one of them."""
    completion, comparison, slate = schema.completion, schema.comparison, schema.slate
    found = Doomed(completions=completions)
    asked = matching(connection, select(completion.c.prompt), completion.c.id, completions)
    prompts = {row.prompt for row in asked}
    columns = select(completion.c.id, completion.c.prompt, completion.c.policy)
    rest = [row for row in matching(connection, columns, completion.c.prompt, prompts) if row.id not in completions]
    # What was withheld from them was shown to nobody, and goes with what they asked.
    unseen = [row for row in rest if row.policy.startswith(WITHHELD)]
    found.prompts = prompts - {row.prompt for row in rest if row not in unseen}
    completions |= {row.id for row in unseen if row.prompt in found.prompts}
    shown = select(comparison.c.id, comparison.c.first, comparison.c.second)
    pairs = matching(connection, shown, comparison.c.prompt, prompts)
    found.comparisons = {row.id for row in pairs if {row.first, row.second} & completions}
    lists = matching(connection, select(slate.c.id, slate.c.completions), slate.c.prompt, prompts)
    found.slates = {row.id for row in lists if set(json.loads(row.completions)) & completions}
    return found


def _rows(connection: Connection, table: Table, which: ColumnElement[bool]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table).where(which)).mappings()]


BY_PERSON: tuple[tuple[Table, Any], ...] = (
    (schema.judgement, schema.judgement.c.rater),
    (schema.ranking, schema.ranking.c.rater),
    (schema.written_answer, schema.written_answer.c.rater),
    (schema.onboarding_pass, schema.onboarding_pass.c.rater),
    (schema.feedback, schema.feedback.c.person),
    (schema.finding, schema.finding.c.found_by),
    (schema.exposure, schema.exposure.c.person),
    (schema.consent, schema.consent.c.person),
    (schema.assignment, schema.assignment.c.person),
    (schema.chat, schema.chat.c.person),
    (schema.draft, schema.draft.c.rater),
    (schema.lease, schema.lease.c.rater),
    (schema.position, schema.position.c.rater),
    (schema.profile, schema.profile.c.rater),
    (schema.ai_opinion, schema.ai_opinion.c.judge),
    (schema.assistance, schema.assistance.c.rater),
    (schema.attachment, schema.attachment.c.helper),
    (schema.ai_judge, schema.ai_judge.c.id),
    (schema.rater, schema.rater.c.id),
)
"""Where a person's rows are; those that others refer to come last."""
