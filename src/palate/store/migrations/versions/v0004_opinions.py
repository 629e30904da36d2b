"""Models that judge, and what they said."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """What version 4 has and version 3 has not."""
    op.create_table(
        "ai_judge",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["rater.id"]),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "ai_opinion",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("judge", sa.Text(), nullable=False),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("swapped", sa.Integer(), nullable=False),
        sa.Column("p_first", sa.Float()),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("principle", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("said_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["judge"], ["rater.id"]),
        sa.ForeignKeyConstraint(["comparison"], ["comparison.id"]),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("ai_opinion_comparison", "ai_opinion", ["comparison", "judge"])
