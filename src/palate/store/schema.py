"""The tables of the journal, and the triggers that keep it append-only.

One row is one fact. Facts are never changed, replaced or removed: the database itself refuses.
Leases are the only thing that comes and goes.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

VERSION = 1
"""Of the tables; stands in `PRAGMA user_version`."""
APPLICATION_ID = 0x50616C61
"""`Pala`: tells a journal from any other SQLite file."""

metadata = MetaData()

prompt = Table(
    "prompt",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("messages", Text, nullable=False),
    Column("kind", Text, nullable=False),
)

completion = Table(
    "completion",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("temperature", Float),
    Column("sample", Integer, nullable=False),
    Column("finished", Integer, nullable=False),
)

comparison = Table(
    "comparison",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    Column("first", ForeignKey("completion.id"), nullable=False),
    Column("second", ForeignKey("completion.id"), nullable=False),
    Column("source", Text, nullable=False),
)
Index("comparison_source", comparison.c.source)

rater = Table(
    "rater",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
)

judgement = Table(
    "judgement",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("strength", Integer, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("guideline", Text, nullable=False),
    Column("seconds", Float),
    Column("judged_at", Text, nullable=False),
    Column("supersedes", Text, nullable=False),
)
Index("judgement_comparison", judgement.c.comparison, judgement.c.rater)
Index("judgement_rater", judgement.c.rater)

lease = Table(
    "lease",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    Column("rater", Text, nullable=False),
    Column("expires_s", Float, nullable=False),
)
Index("lease_comparison", lease.c.comparison)

APPEND_ONLY = {"prompt": "id", "completion": "id", "comparison": "id", "rater": "id", "judgement": "uid"}
"""Table to the column that identifies a row."""


def _parts() -> dict[str, str]:
    # Few judgements supersede another: looking for those that do costs next to nothing.
    parts = {
        "judgement_supersedes": "CREATE INDEX IF NOT EXISTS judgement_supersedes ON judgement (supersedes) "
        "WHERE supersedes <> ''"
    }
    for table, key in APPEND_ONLY.items():
        refuse = f"RAISE(ABORT, '{table} is append-only')"
        for verb in ("UPDATE", "DELETE"):
            parts[f"{table}_no_{verb.lower()}"] = (
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT {refuse}; END"
            )
        # INSERT OR REPLACE deletes without asking the triggers above, and an UPSERT edits. Who writes
        # looks first what is there.
        parts[f"{table}_no_replace"] = (
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key} OR seq = NEW.seq) "
            f"BEGIN SELECT {refuse}; END"
        )
    return parts


PARTS = _parts()
"""Name to statement, beside the tables; a journal that lacks one is given it when it is opened."""
