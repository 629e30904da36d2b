"""Facts about the rules: guidelines, who has learned them, who did what, and who was forgotten."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

guideline = Table(
    "guideline",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    whole("number"),
    words("text"),
    words("parent"),
    words("author"),
    words("created_at"),
)

guideline_in_force = Table(
    "guideline_in_force",
    metadata,
    number(),
    Column("guideline", ForeignKey("guideline.id"), nullable=False),
    words("since"),
    words("actor"),
)
"""The last row holds."""

onboarding_pass = Table(
    "onboarding_pass",
    metadata,
    number(),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    words("guideline"),
    whole("correct"),
    whole("total"),
    whole("passed"),
    words("at"),
)
Index("onboarding_pass_rater", onboarding_pass.c.rater)

audit = Table(
    "audit",
    metadata,
    number(),
    words("at"),
    words("actor"),
    words("action"),
    words("object"),
    words("details"),
)

tombstone = Table(
    "tombstone",
    metadata,
    number(),
    words("kind"),
    words("id_hash"),
    words("at"),
    words("receipt"),
)
"""Of what was erased: no text and no id, only a keyed hash by which it is recognised should it come again."""
Index("tombstone_hash", tombstone.c.id_hash)
