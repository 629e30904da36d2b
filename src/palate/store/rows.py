"""Prompts, completions, comparisons and raters: added once, read back as records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from palate.core.errors import DataError
from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching, require

_BATCH = 2000


def _add(
    journal: Journal,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    check: Callable[[Connection, int], None] | None = None,
) -> int:
    """Insert what is not there yet, in one transaction; the number of new rows.

    Args:
        journal: The journal.
        table: Where to.
        rows: What.
        check: Looks at the rows whose `seq` is above a number, and raises for what cannot stay.
    """
    if not rows:
        return 0
    with journal.transaction() as connection:
        last = connection.execute(select(func.coalesce(func.max(table.c.seq), 0))).scalar_one()
        given = {str(row["id"]): row for row in reversed(rows)}
        known = {row.id for row in matching(connection, select(table.c.id), table.c.id, given)}
        # In the order of `rows`, and of two with one id the first.
        fresh = [row for row in rows if row["id"] not in known and given[str(row["id"])] is row]
        try:
            for start in range(0, len(fresh), _BATCH):
                connection.execute(insert(table), fresh[start : start + _BATCH])
        except IntegrityError:
            _name_the_missing(connection, table, fresh)
            raise
        if check is not None:
            check(connection, last)
        return len(fresh)


def _name_the_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    for column in table.columns:
        for key in column.foreign_keys:
            require(connection, key.column, {str(row[column.name]) for row in rows}, who=f"{table.name}s")


def _one_prompt(connection: Connection, last: int) -> None:
    """Refuse new comparisons whose sides answer another prompt, or are one and the same."""
    shown, first, second = schema.comparison, schema.completion.alias("a"), schema.completion.alias("b")
    query = (
        select(shown.c.id, shown.c.prompt, first.c.prompt, second.c.prompt)
        .join(first, first.c.id == shown.c.first)
        .join(second, second.c.id == shown.c.second)
        .where(shown.c.seq > last)
        .where((first.c.prompt != shown.c.prompt) | (second.c.prompt != shown.c.prompt) | (first.c.id == second.c.id))
        .order_by(shown.c.seq)
    )
    if wrong := connection.execute(query).first():
        raise DataError(
            "a comparison does not hold two completions of its prompt",
            where=f"comparison {wrong[0]}",
            expected=f"two different completions of prompt {wrong[1]}",
            found="the same completion twice" if wrong[2] == wrong[3] == wrong[1] else f"{wrong[2]} and {wrong[3]}",
        )


def add_prompts(journal: Journal, prompts: Iterable[Prompt]) -> int:
    """Add prompts; the number of new ones."""
    rows = [{"id": p.id, "messages": json.dumps(p.as_dicts(), ensure_ascii=False), "kind": p.kind} for p in prompts]
    return _add(journal, schema.prompt, rows)


def add_completions(journal: Journal, completions: Iterable[Completion]) -> int:
    """Add completions of known prompts; the number of new ones.

    Raises:
        DataError: a prompt is unknown. Nothing is added then.
    """
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
    """Add comparisons of known completions; the number of new ones.

    A comparison that is there keeps the source under which it came first.

    Raises:
        DataError: a prompt or completion is unknown, or the sides are not two completions of the
            comparison's prompt. Nothing is added then.
    """
    rows = [
        {"id": c.id, "prompt": c.prompt, "first": c.first, "second": c.second, "source": c.source} for c in comparisons
    ]
    return _add(journal, schema.comparison, rows, _one_prompt)


def add_raters(journal: Journal, raters: Iterable[Rater]) -> int:
    """Add raters; the number of new ones.

    Raises:
        DataError: a rater's id stands for another kind of rater already. Nothing is added then.
    """
    kinds = [(r.id, r.kind) for r in raters]

    def one_kind(connection: Connection, _: int) -> None:
        table = schema.rater
        stored = {row.id: row.kind for row in matching(connection, select(table), table.c.id, [id for id, _ in kinds])}
        for rater, kind in kinds:
            if stored[rater] != kind:
                raise DataError(
                    "a rater's id was used before, for another kind of rater",
                    where=f"rater {rater!r}",
                    expected=stored[rater],
                    found=kind,
                    hint="give the new rater an id of its own",
                )

    return _add(journal, schema.rater, [{"id": id, "kind": kind} for id, kind in kinds], one_kind)


def prompts(journal: Journal) -> dict[str, Prompt]:
    """All prompts by id."""
    with journal.reading() as connection:
        rows = connection.execute(select(schema.prompt).order_by(schema.prompt.c.seq))
        return {row.id: Prompt.from_dicts(json.loads(row.messages), row.kind) for row in rows}


def completions(journal: Journal) -> dict[str, Completion]:
    """All completions by id."""
    with journal.reading() as connection:
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


def comparisons(journal: Journal, sources: Sequence[str] = ()) -> list[Comparison]:
    """Comparisons in the order in which they came, of some sources or, with none named, of all."""
    query = select(schema.comparison).order_by(schema.comparison.c.seq)
    if sources:
        query = query.where(schema.comparison.c.source.in_(sources))
    with journal.reading() as connection:
        return [
            Comparison(prompt=row.prompt, first=row.first, second=row.second, source=row.source)
            for row in connection.execute(query)
        ]


def counts(journal: Journal) -> dict[str, int]:
    """How many rows each table holds."""
    with journal.reading() as connection:
        return {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in schema.metadata.sorted_tables
        }
