"""What was asked and answered, what was shown to whom, and what they said."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

prompt = Table(
    "prompt",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    words("messages"),
    words("kind"),
    words("language", default=""),
)

completion = Table(
    "completion",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    words("text"),
    words("policy"),
    Column("temperature", Float),
    whole("sample"),
    whole("finished"),
)
Index("completion_prompt", completion.c.prompt)
Index("completion_policy", completion.c.policy)

comparison = Table(
    "comparison",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    Column("first", ForeignKey("completion.id"), nullable=False),
    Column("second", ForeignKey("completion.id"), nullable=False),
    words("source"),
)
Index("comparison_source", comparison.c.source)
Index("comparison_prompt", comparison.c.prompt)

rater = Table("rater", metadata, number(), words("id", unique=True), words("kind"))
"""Group, languages and topics may change, and stand in `profile`."""

judgement = Table(
    "judgement",
    metadata,
    number(),
    words("uid", unique=True),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    words("verdict"),
    whole("strength"),
    words("reasons"),
    words("note"),
    words("guideline"),
    Column("seconds", Float),
    words("judged_at"),
    words("supersedes"),
    whole("swapped", default=0),
    words("task", default="normal"),
)
Index("judgement_comparison", judgement.c.comparison, judgement.c.rater)
# With `seq`, so that the latest of a rater are found without sorting all of theirs.
Index("judgement_rater", judgement.c.rater, judgement.c.seq)
# Few judgements supersede another: looking for those that do costs next to nothing.
Index(
    "judgement_supersedes",
    judgement.c.supersedes,
    sqlite_where=judgement.c.supersedes != "",
    postgresql_where=judgement.c.supersedes != "",
)

check_item = Table(
    "check_item",
    metadata,
    number(),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    words("expected"),
    words("explanation"),
    words("clause"),
    words("author"),
    words("added_at"),
)
"""The last row of a comparison holds; with `expected` "" it is a check item no longer."""
Index("check_item_comparison", check_item.c.comparison)
