"""Single answers, each with its prompt, without reading all there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from palate.core.records import Completion, Prompt
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching


class Answer(NamedTuple):
    """A completion and what it answers."""

    id: str
    """Of the completion, as it was stored."""
    prompt: Prompt
    completion: Completion


def find(journal: Journal, completions: Iterable[str]) -> dict[str, Answer]:
    """Those of some completions that are stored, by id."""
    with journal.reading() as connection:
        rows = matching(connection, _query(), schema.completion.c.id, completions)
    return {row.id: _answer(row) for row in rows}


def to(journal: Journal, prompt: str, most: int = 64) -> list[Answer]:
    """The completions of a prompt, the latest first."""
    table = schema.completion
    query = _query().where(table.c.prompt == prompt).order_by(table.c.seq.desc()).limit(most)
    with journal.reading() as connection:
        return [_answer(row) for row in connection.execute(query)]


def _query() -> Select[Any]:
    asked, said = schema.prompt, schema.completion
    columns = [column for column in said.columns if column.name != "seq"]
    return select(*columns, asked.c.messages, asked.c.kind, asked.c.language).join(asked)


def _answer(row: Any) -> Answer:
    completion = Completion(
        prompt=row.prompt,
        text=row.text,
        policy=row.policy,
        temperature=row.temperature,
        sample=row.sample,
        finished=bool(row.finished),
    )
    return Answer(row.id, Prompt.from_dicts(json.loads(row.messages), row.kind, row.language), completion)
