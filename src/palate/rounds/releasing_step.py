"""The last step of a round: the policy becomes a release, under the name that the project gives it."""

from __future__ import annotations

from palate.rounds.step import Context, Done, Outcome
from palate.store import releases, rounds


def release(context: Context) -> Outcome:
    """Register the policy, and point the project's alias to it."""
    said = [one for one in rounds.steps(context.journal, context.round.id) if one.step == "gate"]
    why = next((str(one.details.get("why", "")) for one in reversed(said) if one.state == "overridden"), "")
    made = releases.add(
        context.journal, context.made["policy"], round_=context.round.id, gate=context.made.get("gate", ""), why=why,
        actor=context.round.actor,
    )  # fmt: skip
    alias = context.project.alias
    if releases.aliases(context.journal).get(alias) != made.id:
        releases.point(context.journal, alias, made.id, why=f"round {context.round.number}", actor=context.round.actor)
    return Done(details={"release": made.id, "alias": alias})
