"""The texts of one comparison, and what was said of it: read by id, without reading the rest."""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import select

from palate.core.records import Judgement, Message, Prompt
from palate.pages.markdown import safe_html
from palate.store import schema
from palate.store.journal import Journal
from palate.store.judgements import judgement_of, without_superseded

_SPEAKERS = {"system": "Instructions", "user": "Person", "assistant": "Assistant"}


class Texts(NamedTuple):
    """What a comparison shows, in its own order."""

    prompt: Prompt
    first: str
    second: str


def of(journal: Journal, comparison: str) -> Texts | None:
    """The texts of a comparison, or nothing when there is none of this id."""
    table, prompt = schema.comparison, schema.prompt
    one, two = schema.completion.alias("one"), schema.completion.alias("two")
    query = (
        select(prompt.c.messages, prompt.c.kind, one.c.text.label("first"), two.c.text.label("second"))
        .select_from(table)
        .join(prompt, prompt.c.id == table.c.prompt)
        .join(one, one.c.id == table.c.first)
        .join(two, two.c.id == table.c.second)
        .where(table.c.id == comparison)
    )
    with journal.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else Texts(_prompt(row), row.first, row.second)


def prompt(journal: Journal, id: str) -> Prompt | None:
    """The prompt of an id, or nothing."""
    query = select(schema.prompt.c.messages, schema.prompt.c.kind).where(schema.prompt.c.id == id)
    with journal.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else _prompt(row)


def judged(journal: Journal, comparison: str) -> list[Judgement]:
    """What was said of a comparison, without what was taken back."""
    table = schema.judgement
    with journal.reading() as connection:
        found = connection.execute(select(table).where(table.c.comparison == comparison).order_by(table.c.seq))
        return without_superseded([judgement_of(row) for row in found])


def judged_by(journal: Journal, rater: str, *, task: str) -> list[Judgement]:
    """What a rater said in tasks of one kind, in order, without what was taken back."""
    table = schema.judgement
    query = select(table).where(table.c.rater == rater, table.c.task == task).order_by(table.c.seq)
    with journal.reading() as connection:
        return without_superseded([judgement_of(row) for row in connection.execute(query)])


def asked_html(prompt: Prompt) -> str:
    """What was asked, as safe HTML. A single question stands alone; a conversation names its speakers."""
    if len(prompt.messages) == 1:
        return safe_html(prompt.messages[0].content)
    return "".join(_turn(message) for message in prompt.messages)


def _turn(message: Message) -> str:
    return f"<p><strong>{_SPEAKERS[message.role]}</strong></p>{safe_html(message.content)}"


def _prompt(row: object) -> Prompt:
    return Prompt.from_dicts(json.loads(row.messages), row.kind)  # type: ignore[attr-defined]
