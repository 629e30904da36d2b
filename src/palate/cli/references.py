"""Imported records that name others by id: those whose others are nowhere to be found are refused, one by one.

A batch is stored in one transaction; a row that the database would not take must not take the others with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, select

from palate.core.records import (
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    WrittenAnswer,
)
from palate.formats import Imported, Refusal
from palate.formats.imported import Fact, ImportedFact, excerpt
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching, stored

_NAMED: Mapping[type, tuple[tuple[str, str], ...]] = {
    Completion: (("prompt", "prompt"),),
    Comparison: (("prompt", "prompt"), ("first", "completion"), ("second", "completion")),
    Judgement: (("comparison", "comparison"), ("rater", "rater")),
    Slate: (("prompt", "prompt"), ("completions", "completion")),
    Ranking: (("slate", "slate"), ("rater", "rater")),
    WrittenAnswer: (("prompt", "prompt"), ("rater", "rater")),
    Feedback: (("completion", "completion"),),
}
"""Kind of record to its fields that name others, and the table of those."""
_TABLES = {Prompt: "prompt", Completion: "completion", Comparison: "comparison", Rater: "rater", Slate: "slate"}


class References:
    """Checks the batches of one file; what it let through counts as there, though it may not be stored yet."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[Fact] = []

    def stored(self) -> None:
        """All that was let through is in the journal now."""
        self._waiting.clear()

    def checked(self, imported: Imported) -> Imported:
        """The batch without records that name what is neither above them nor in the journal; those are refused."""
        if not imported.facts and not any(signal.completion for signal in imported.signals):
            return imported
        there = _There(self._journal, imported)
        for record in self._waiting:
            there.add(record)
        kept: list[ImportedFact] = []
        refused: list[Refusal] = []
        for fact in imported.facts:
            if reason := there.missing(fact.record) or there.conflict(fact.record):
                refused.append(Refusal(fact.where, reason, excerpt(asdict(fact.record))))
            else:
                kept.append(fact)
                there.add(fact.record)
                self._waiting.append(fact.record)
        signals = []
        for signal in imported.signals:
            if signal.completion and signal.completion not in there.prompt_of:
                reason = f"the feedback is for an answer that is not in the journal; found `{signal.completion[:60]}`"
                refused.append(Refusal(signal.where, reason, signal.kind))
            else:
                signals.append(signal)
        return replace(imported, facts=kept, signals=signals, refused=[*imported.refused, *refused])


class _There:
    """What a batch may name: what is in the journal, and what of the batch has been accepted so far."""

    def __init__(self, journal: Journal, imported: Imported) -> None:
        records = [fact.record for fact in imported.facts]
        wanted: dict[str, set[str]] = {name: set() for name in _TABLES.values()}
        for record in records:
            for name, table in _NAMED.get(type(record), ()):
                wanted[table].update(_ids(getattr(record, name)))
        wanted["completion"].update(signal.completion for signal in imported.signals if signal.completion)
        wanted["rater"].update(record.id for record in records if isinstance(record, Rater))
        said = [record for record in records if isinstance(record, Judgement)]
        uids = {j.uid for j in said} | {j.supersedes for j in said if j.supersedes}
        with journal.reading() as connection:
            self._ids = {name: stored(connection, _table(name).c.id, wanted[name]) for name in ("prompt", "slate")}
            self._ids["comparison"] = stored(connection, _table("comparison").c.id, wanted["comparison"])
            self.prompt_of = _column(connection, "completion", "id", "prompt", wanted["completion"])
            self._kinds = _column(connection, "rater", "id", "kind", wanted["rater"])
            table = _table("judgement")
            rows = matching(connection, select(table), table.c.uid, uids)
            self._judged = {row.uid: tuple(getattr(row, name) for name in _CONTENT) for row in rows}
            corrected = {j.supersedes for j in said if j.supersedes}
            self._heirs = _column(connection, "judgement", "supersedes", "uid", corrected)

    def missing(self, record: Fact) -> str:
        """Why a record cannot stand alone; "" when all that it names is there."""
        for name, table in _NAMED.get(type(record), ()):
            known: Collection[str] = {"completion": self.prompt_of, "rater": self._kinds}.get(table) or self._ids[table]
            for id in _ids(getattr(record, name)):
                if id not in known:
                    return f"the row names a {table} that is neither above it nor in the journal; found `{id[:60]}`"
        return ""

    def conflict(self, record: Fact) -> str:
        """Why a record does not go with what is there; "" when it does."""
        if isinstance(record, Rater):
            kind = self._kinds.get(record.id, record.kind)
            return "" if kind == record.kind else f"the rater's id stands for another kind of rater; found `{kind}`"
        if isinstance(record, Comparison | Slate):
            sides = (record.first, record.second) if isinstance(record, Comparison) else record.completions
            if len(set(sides)) < len(sides) or any(self.prompt_of[side] != record.prompt for side in sides):
                return "the completions are not different answers to the prompt"
        if not isinstance(record, Judgement):
            return ""
        earlier = self._judged.get(record.uid)
        if earlier is not None:
            same = earlier == _content(record)
            return "" if same else f"the uid was used before, for something else; found `{record.uid[:60]}`"
        if not record.supersedes:
            return ""
        old = self._judged.get(record.supersedes)
        if old is None or old[:2] != (record.comparison, record.rater):
            return f"the judgement supersedes one that is not its own; found `{record.supersedes[:60]}`"
        heir = self._heirs.get(record.supersedes, record.uid)
        return "" if heir == record.uid else f"another judgement supersedes the same one; found `{heir[:60]}`"

    def add(self, record: Fact) -> None:
        """Take note of a record that was accepted."""
        if isinstance(record, Completion):
            self.prompt_of[record.id] = record.prompt
        elif isinstance(record, Rater):
            self._kinds[record.id] = record.kind
        elif isinstance(record, Prompt | Comparison | Slate):
            self._ids[_TABLES[type(record)]].add(record.id)
        elif isinstance(record, Judgement):
            self._judged.setdefault(record.uid, _content(record))
            if record.supersedes:
                self._heirs[record.supersedes] = record.uid


_CONTENT = (
    *("comparison", "rater", "verdict", "strength", "reasons", "note", "guideline", "seconds", "supersedes"),
    *("swapped", "task"),
)


def _content(j: Judgement) -> tuple[Any, ...]:
    """A judgement's columns but for its time, as the table has them."""
    changed = {
        "verdict": j.verdict.value,
        "reasons": json.dumps(list(j.reasons), ensure_ascii=False),
        "swapped": int(j.swapped),
    }
    return tuple(changed.get(name, getattr(j, name)) for name in _CONTENT)


def _table(name: str) -> Any:
    return schema.metadata.tables[name]


def _column(connection: Connection, table: str, key: str, value: str, wanted: set[str]) -> dict[str, str]:
    columns = _table(table).c
    return dict(map(tuple, matching(connection, select(columns[key], columns[value]), columns[key], wanted)))


def _ids(value: str | Iterable[str]) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value
