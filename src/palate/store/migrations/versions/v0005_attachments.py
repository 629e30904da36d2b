"""Help for raters: what models wrote to comparisons, and who was shown it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What version 5 has and version 4 has not."""
    op.create_table(
        "attachment",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("helper", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("written_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["comparison"], ["comparison.id"]),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("attachment_comparison", "attachment", ["comparison"])
    op.create_index("attachment_helper", "attachment", ["helper"])
    op.create_table(
        "assistance",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("withheld", sa.Text(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["comparison"], ["comparison.id"]),
        sa.ForeignKeyConstraint(["rater"], ["rater.id"]),
    )
    op.create_index("assistance_rater", "assistance", ["rater", "comparison"])
    op.create_index("assistance_comparison", "assistance", ["comparison"])
