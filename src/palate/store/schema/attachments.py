"""Facts about help for raters: what models wrote to a comparison, and who judged with it before them or without."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

attachment = Table(
    "attachment",
    metadata,
    number(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    words("kind"),
    words("helper"),
    words("side"),
    whole("turn"),
    words("text"),
    words("written_at"),
)
"""What a model wrote to a comparison, for whoever judges it; `side` is the answer that it is about, "" of both."""
Index("attachment_comparison", attachment.c.comparison)
Index("attachment_helper", attachment.c.helper)

assistance = Table(
    "assistance",
    metadata,
    number(),
    Column("comparison", ForeignKey("comparison.id"), nullable=False),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    words("shown"),
    words("withheld"),
    Column("share", Float, nullable=False),
    words("at"),
)
"""A rater was given a comparison that has attachments: the uids of those that were shown and of those that were
withheld, as JSON, and the share of raters who are shown them. Of several rows of both, the last holds."""
Index("assistance_rater", assistance.c.rater, assistance.c.comparison)
Index("assistance_comparison", assistance.c.comparison)
