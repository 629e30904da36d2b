"""The human side: sides and kinds of tasks, the queue's own table, signals, rules and accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """What version 2 has and version 1 has not."""
    _changes()
    _written()
    _signals()
    _rules()
    _queue()
    _people()


def _changes() -> None:
    op.create_index("completion_prompt", "completion", ["prompt"])
    op.add_column("judgement", sa.Column("swapped", sa.Integer(), server_default="0", nullable=False))
    op.add_column("judgement", sa.Column("task", sa.Text(), server_default="normal", nullable=False))
    op.drop_index("judgement_rater", table_name="judgement")
    op.create_index("judgement_rater", "judgement", ["rater", "seq"])
    op.create_index(
        "judgement_supersedes",
        "judgement",
        ["supersedes"],
        if_not_exists=True,
        sqlite_where=sa.text("supersedes != ''"),
        postgresql_where=sa.text("supersedes != ''"),
    )
    op.add_column("lease", sa.Column("kind", sa.Text(), server_default="normal", nullable=False))
    op.add_column("lease", sa.Column("swapped", sa.Integer(), server_default="0", nullable=False))
    op.add_column("lease", sa.Column("expired", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "lease_expires",
        "lease",
        ["expires_s"],
        sqlite_where=sa.text("expired = 0"),
        postgresql_where=sa.text("expired = 0"),
    )
    op.create_index(
        "lease_one",
        "lease",
        ["rater", "comparison"],
        unique=True,
        sqlite_where=sa.text("expired = 0"),
        postgresql_where=sa.text("expired = 0"),
    )
    op.add_column("prompt", sa.Column("language", sa.Text(), server_default="", nullable=False))


def _written() -> None:
    op.create_table(
        "slate",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("prompt", sa.String(length=16), nullable=False),
        sa.Column("completions", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt"],
            ["prompt.id"],
        ),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "ranking",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("slate", sa.String(length=16), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("ranks", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("judged_at", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater"],
            ["rater.id"],
        ),
        sa.ForeignKeyConstraint(
            ["slate"],
            ["slate.id"],
        ),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("ranking_rater", "ranking", ["rater"])
    op.create_index("ranking_slate", "ranking", ["slate", "rater"])
    op.create_table(
        "written_answer",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("prompt", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("judgement", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("written_at", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt"],
            ["prompt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["rater"],
            ["rater.id"],
        ),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("written_answer_prompt", "written_answer", ["prompt"])
    op.create_index("written_answer_rater", "written_answer", ["rater"])
    op.create_table(
        "check_item",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("comparison", sa.String(length=16), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison"],
            ["comparison.id"],
        ),
    )
    op.create_index("check_item_comparison", "check_item", ["comparison"])


def _signals() -> None:
    op.create_table(
        "consent",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("given", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("given_at", sa.Text(), nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_index("consent_person", "consent", ["person", "chat"])
    op.create_table(
        "feedback",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("completion", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["completion"],
            ["completion.id"],
        ),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("feedback_completion", "feedback", ["completion"])
    op.create_index("feedback_person", "feedback", ["person"])
    op.create_table(
        "exposure",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("completion", sa.String(length=16), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("shown_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["completion"],
            ["completion.id"],
        ),
    )
    op.create_index("exposure_chat", "exposure", ["chat"])
    op.create_index("exposure_completion", "exposure", ["completion"])
    op.create_index("exposure_person", "exposure", ["person"])


def _rules() -> None:
    op.create_table(
        "guideline",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "guideline_in_force",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("guideline", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["guideline"],
            ["guideline.id"],
        ),
    )
    op.create_table(
        "onboarding_pass",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Text(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater"],
            ["rater.id"],
        ),
    )
    op.create_index("onboarding_pass_rater", "onboarding_pass", ["rater"])
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_table(
        "tombstone",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id_hash", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
    )
    op.create_index("tombstone_hash", "tombstone", ["id_hash"])


def _queue() -> None:
    op.create_table(
        "task",
        sa.Column("comparison", sa.String(length=16), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("adaptive", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison"],
            ["comparison.id"],
        ),
    )
    op.create_index(
        "task_next",
        "task",
        ["kind", "rank", "place", "comparison"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "task_returned",
        "task",
        ["kind", "opened"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("task_state", "task", ["state", "kind"])
    op.create_table(
        "position",
        sa.Column("rater", sa.Text(), primary_key=True),
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("rank", sa.Float(), nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "profile",
        sa.Column("rater", sa.Text(), primary_key=True),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("languages", sa.Text(), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("avoids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater"],
            ["rater.id"],
        ),
    )
    op.create_table(
        "draft",
        sa.Column("rater", sa.Text(), primary_key=True),
        sa.Column("comparison", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )


def _people() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=32), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
    )
    op.create_index(
        "account_email",
        "account",
        ["email"],
        unique=True,
        sqlite_where=sa.text("email != ''"),
        postgresql_where=sa.text("email != ''"),
    )
    op.create_index("account_rater", "account", ["rater"])
    op.create_table(
        "session",
        sa.Column("hash", sa.String(length=64), primary_key=True),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.Column("seen_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["account.id"],
        ),
    )
    op.create_index("session_account", "session", ["account"])
    op.create_table(
        "token",
        sa.Column("hash", sa.String(length=64), primary_key=True),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=True),
        sa.Column("used_s", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["account.id"],
        ),
    )
    op.create_index("token_account", "token", ["account"])
    op.create_table(
        "invitation",
        sa.Column("hash", sa.String(length=64), primary_key=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("inviter", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.Column("used_s", sa.Float(), nullable=True),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "chat",
        sa.Column("id", sa.String(length=32), primary_key=True),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("changed_s", sa.Float(), nullable=False),
    )
    op.create_index("chat_person", "chat", ["person", "changed_s"])
