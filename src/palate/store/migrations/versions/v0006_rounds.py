"""Rounds, releases, A/B tests, what an erasure has tainted; and indexes by which lineage asks."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """What version 6 has and version 5 has not."""
    _rounds()
    _releases()
    _experiments()
    _table("taint", *_texts("artefact", "because", "receipt", "at"))
    op.create_index("taint_artefact", "taint", ["artefact"])
    for table, column in (("completion", "policy"), ("comparison", "prompt"), ("slate", "prompt")):
        op.create_index(f"{table}_{column}", table, [column])  # lineage asks by them


def _rounds() -> None:
    _table(
        "round", _id(), sa.Column("number", sa.Integer(), nullable=False), *_texts("parent", "recipe", "actor", "at"),
        sa.UniqueConstraint("id"),
    )  # fmt: skip
    _table("round_step", *_of("round"), *_texts("step", "state", "artefact", "details", "at"))
    op.create_index("round_step_round", "round_step", ["round"])
    op.create_index("round_step_artefact", "round_step", ["artefact"])


def _releases() -> None:
    names = ("policy", "guardrails", "round", "gate", "why", "card", "actor", "at")
    _table("release", _id(), *_texts(*names), sa.UniqueConstraint("id"))
    op.create_index("release_policy", "release", ["policy"])
    _table("release_alias", *_texts("alias", "release", "why", "actor", "at"))
    op.create_index("release_alias_alias", "release_alias", ["alias"])


def _experiments() -> None:
    _table("experiment", _id(), *_texts("name", "arms", "plan", "actor", "at"), sa.UniqueConstraint("id"))
    _table("experiment_step", *_of("experiment"), *_texts("state", "details", "actor", "at"))
    op.create_index("experiment_step_experiment", "experiment_step", ["experiment"])
    _table("assignment", *_of("experiment"), *_texts("person", "arm", "at"))
    op.create_index("assignment_one", "assignment", ["experiment", "person"], unique=True)
    op.create_index("assignment_person", "assignment", ["person"])


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, sa.Column("seq", sa.Integer(), primary_key=True), *parts)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(length=16), nullable=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _of(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column(table, sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint([table], [f"{table}.id"]),
    )
