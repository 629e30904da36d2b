"""Prompts, completions, comparisons, raters, judgements and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The tables of files that were made before there were revisions."""
    _asked_and_answered()
    _shown_and_said()


def _asked_and_answered() -> None:
    op.create_table(
        "prompt",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "completion",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("prompt", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("finished", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt"],
            ["prompt.id"],
        ),
        sa.UniqueConstraint("id"),
    )


def _shown_and_said() -> None:
    op.create_table(
        "rater",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "comparison",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("prompt", sa.String(length=16), nullable=False),
        sa.Column("first", sa.String(length=16), nullable=False),
        sa.Column("second", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["first"],
            ["completion.id"],
        ),
        sa.ForeignKeyConstraint(
            ["prompt"],
            ["prompt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["second"],
            ["completion.id"],
        ),
        sa.UniqueConstraint("id"),
    )
    op.create_index("comparison_source", "comparison", ["source"])
    op.create_table(
        "judgement",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("strength", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("judged_at", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison"],
            ["comparison.id"],
        ),
        sa.ForeignKeyConstraint(
            ["rater"],
            ["rater.id"],
        ),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("judgement_comparison", "judgement", ["comparison", "rater"])
    op.create_index("judgement_rater", "judgement", ["rater"])
    op.create_table(
        "lease",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison"],
            ["comparison.id"],
        ),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("lease_comparison", "lease", ["comparison"])
