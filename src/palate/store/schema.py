"""The tables of the journal, and the triggers that keep it append-only.

One row is one fact. Comparisons and judgements are never changed or removed: the database itself
refuses. Leases are the only thing that comes and goes.
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

APPEND_ONLY = ("prompt", "completion", "comparison", "rater", "judgement")

TRIGGERS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for table in APPEND_ONLY
    for verb in ("UPDATE", "DELETE")
)
