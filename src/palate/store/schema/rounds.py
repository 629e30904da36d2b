"""Facts about turns of the cycle: rounds, releases and their names, A/B tests, and what an erasure has tainted."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from palate.store.schema.columns import metadata, number, whole, words

round_ = Table(
    "round",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    whole("number"),
    words("parent"),
    words("recipe"),
    words("actor"),
    words("at"),
)
"""A turn of the cycle: its number in this project, the round whose policy it begins with ("" of the first), and the
resolved settings as JSON, of which the id is a hash."""

round_step = Table(
    "round_step",
    metadata,
    number(),
    Column("round", ForeignKey("round.id"), nullable=False),
    words("step"),
    words("state"),
    words("artefact"),
    words("details"),
    words("at"),
)
"""What happened in a round. `step` is "" of the round as a whole; `artefact` is what came of it, `details` JSON."""
Index("round_step_round", round_step.c.round)
Index("round_step_artefact", round_step.c.artefact)

release = Table(
    "release",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    words("policy"),
    words("guardrails"),
    words("round"),
    words("gate"),
    words("why"),
    words("card"),
    words("actor"),
    words("at"),
)
"""A policy that may be served, by the id of its artefact, under a version of the guardrails or "". `gate` is the
artefact that says what it passed, `why` the reason of whoever released it all the same, `card` the model card."""
Index("release_policy", release.c.policy)

release_alias = Table(
    "release_alias",
    metadata,
    number(),
    words("alias"),
    words("release"),
    words("why"),
    words("actor"),
    words("at"),
)
"""A name such as `stable` was given to a release, or with "" taken away. The last row of a name holds."""
Index("release_alias_alias", release_alias.c.alias)

experiment = Table(
    "experiment",
    metadata,
    number(),
    Column("id", String(16), nullable=False, unique=True),
    words("name"),
    words("arms"),
    words("plan"),
    words("actor"),
    words("at"),
)
"""An A/B test: `arms` is a JSON object of releases and the share of people each gets, the first of them the control;
`plan` the settings that were fixed before it began."""

experiment_step = Table(
    "experiment_step",
    metadata,
    number(),
    Column("experiment", ForeignKey("experiment.id"), nullable=False),
    words("state"),
    words("details"),
    words("actor"),
    words("at"),
)
"""It began, was stopped, or was decided."""
Index("experiment_step_experiment", experiment_step.c.experiment)

assignment = Table(
    "assignment",
    metadata,
    number(),
    Column("experiment", ForeignKey("experiment.id"), nullable=False),
    words("person"),
    words("arm"),
    words("at"),
)
"""A person was first served in an A/B test, and by which of its releases."""
Index("assignment_one", assignment.c.experiment, assignment.c.person, unique=True)
Index("assignment_person", assignment.c.person)

taint = Table(
    "taint",
    metadata,
    number(),
    words("artefact"),
    words("because"),
    words("receipt"),
    words("at"),
)
"""An artefact holds, or was made from, what an erasure took away; `receipt` names the erasure."""
Index("taint_artefact", taint.c.artefact)
