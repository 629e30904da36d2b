"""Prompts, completions, comparisons and raters: added once, read back as records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Table, func, select
from sqlalchemy.dialects.sqlite import insert

from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.store import schema
from palate.store.journal import Journal

_BATCH = 2000


def _add(journal: Journal, table: Table, rows: Sequence[Mapping[str, object]]) -> int:
    """Insert what is not there yet, in one transaction; the number of new rows."""
    if not rows:
        return 0
    with journal.transaction() as connection:
        count = select(func.count()).select_from(table)
        before = connection.execute(count).scalar_one()
        statement = insert(table).on_conflict_do_nothing(index_elements=["id"])
        for start in range(0, len(rows), _BATCH):
            connection.execute(statement, rows[start : start + _BATCH])
        return int(connection.execute(count).scalar_one() - before)


def add_prompts(journal: Journal, prompts: Iterable[Prompt]) -> int:
    """Add prompts; the number of new ones."""
    rows = [{"id": p.id, "messages": json.dumps(p.as_dicts(), ensure_ascii=False), "kind": p.kind} for p in prompts]
    return _add(journal, schema.prompt, rows)


def add_completions(journal: Journal, completions: Iterable[Completion]) -> int:
    """Add completions of known prompts; the number of new ones."""
    rows = [
        {
            "id": c.id,
            "prompt": c.prompt,
            "text": c.text,
            "policy": c.policy,
            "temperature": c.temperature,
            "sample": c.sample,
            "finished": int(c.finished),
        }
        for c in completions
    ]
    return _add(journal, schema.completion, rows)


def add_comparisons(journal: Journal, comparisons: Iterable[Comparison]) -> int:
    """Add comparisons of known completions; the number of new ones."""
    rows = [
        {"id": c.id, "prompt": c.prompt, "first": c.first, "second": c.second, "source": c.source} for c in comparisons
    ]
    return _add(journal, schema.comparison, rows)


def add_raters(journal: Journal, raters: Iterable[Rater]) -> int:
    """Add raters; the number of new ones."""
    return _add(journal, schema.rater, [{"id": r.id, "kind": r.kind} for r in raters])


def prompts(journal: Journal) -> dict[str, Prompt]:
    """All prompts by id."""
    with journal.engine.connect() as connection:
        rows = connection.execute(select(schema.prompt).order_by(schema.prompt.c.seq))
        return {row.id: Prompt.from_dicts(json.loads(row.messages), row.kind) for row in rows}


def completions(journal: Journal) -> dict[str, Completion]:
    """All completions by id."""
    with journal.engine.connect() as connection:
        rows = connection.execute(select(schema.completion).order_by(schema.completion.c.seq))
        return {
            row.id: Completion(
                prompt=row.prompt,
                text=row.text,
                policy=row.policy,
                temperature=row.temperature,
                sample=row.sample,
                finished=bool(row.finished),
            )
            for row in rows
        }


def comparisons(journal: Journal, source: str | None = None) -> list[Comparison]:
    """Comparisons in the order in which they came, of one source or of all."""
    query = select(schema.comparison).order_by(schema.comparison.c.seq)
    if source is not None:
        query = query.where(schema.comparison.c.source == source)
    with journal.engine.connect() as connection:
        return [
            Comparison(prompt=row.prompt, first=row.first, second=row.second, source=row.source)
            for row in connection.execute(query)
        ]


def counts(journal: Journal) -> dict[str, int]:
    """How many rows each table holds."""
    with journal.engine.connect() as connection:
        return {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in schema.metadata.sorted_tables
        }
