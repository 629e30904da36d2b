"""Facts beside judgements: rankings, written answers, and what people who use a release do."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

slate = Table(
    "slate",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    words("completions"),
    words("source"),
)

Index("slate_prompt", slate.c.prompt)

ranking = Table(
    "ranking",
    metadata,
    number(),
    words("uid", unique=True),
    Column("slate", ForeignKey("slate.id"), nullable=False),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    words("ranks"),
    words("shown"),
    words("reasons"),
    words("note"),
    words("guideline"),
    Column("seconds", Float),
    words("judged_at"),
    words("supersedes"),
)
Index("ranking_slate", ranking.c.slate, ranking.c.rater)
Index("ranking_rater", ranking.c.rater)

written_answer = Table(
    "written_answer",
    metadata,
    number(),
    words("uid", unique=True),
    Column("prompt", ForeignKey("prompt.id"), nullable=False),
    words("text"),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    words("original"),
    words("judgement"),
    words("guideline"),
    Column("seconds", Float),
    words("written_at"),
    words("supersedes"),
)
Index("written_answer_prompt", written_answer.c.prompt)
Index("written_answer_rater", written_answer.c.rater)

consent = Table(
    "consent",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    words("person"),
    words("chat"),
    whole("given"),
    words("text"),
    words("given_at"),
)
"""The last row of a person and a chat holds; `given` 0 takes it back. `text` is what they were shown."""
Index("consent_person", consent.c.person, consent.c.chat)

feedback = Table(
    "feedback",
    metadata,
    number(),
    words("uid", unique=True),
    Column("completion", ForeignKey("completion.id"), nullable=False),
    words("kind"),
    words("person"),
    words("value"),
    words("note"),
    words("consent"),
    words("created_at"),
)
Index("feedback_completion", feedback.c.completion)
Index("feedback_person", feedback.c.person)

exposure = Table(
    "exposure",
    metadata,
    number(),
    Column("completion", ForeignKey("completion.id"), nullable=False),
    words("person"),
    words("chat"),
    words("shown_at"),
)
"""An answer was shown to someone: what thumbs are counted against."""
Index("exposure_completion", exposure.c.completion)
Index("exposure_person", exposure.c.person)
Index("exposure_chat", exposure.c.chat)
