"""Facts about models that judge: who they are, and what they said of which comparison, in which order of sides."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

ai_judge = Table(
    "ai_judge",
    metadata,
    number(),
    Column("id", ForeignKey("rater.id"), nullable=False, unique=True),
    words("name"),
    words("model"),
    words("template"),
    words("template_id"),
)
"""A model with what it is asked, by its pseudonym as a rater; another model or another wording is another judge."""

ai_opinion = Table(
    "ai_opinion",
    metadata,
    number(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("judge", ForeignKey("rater.id"), nullable=False),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    whole("swapped"),
    Column("p_first", Float),
    words("why"),
    words("principle"),
    whole("prompt_tokens"),
    whole("completion_tokens"),
    words("said_at"),
)
"""What a judge said of a comparison in one order of its sides; `p_first` is of the comparison's own first side, and
NULL where the judge would not say. A request that failed is no opinion and has no row."""
Index("ai_opinion_comparison", ai_opinion.c.comparison, ai_opinion.c.judge)
