"""What a look at an A/B test says, in sentences: the same on the command line and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from palate.rounds.trials import OUTCOMES, Look, Reading
from palate.store.experiments import Step

_VERDICTS: Final = {
    "better": "The new release was better",
    "worse": "The new release was worse",
    "harm": "The new release was worse, and stopped early for that",
    "open": "No difference was found",
}


def points(value: float) -> str:
    """A difference in points, with its sign."""
    return "unknown" if math.isnan(value) else f"{100 * value:+.1f}".replace("-", "−")


def span(reading: Reading) -> str:
    """Its interval, in points."""
    low, high = reading.ends
    return f"{points(low)} to {points(high)}"


def sentence(look: Look) -> str:
    """What it means."""
    name, plan = OUTCOMES[look.plan.outcome].name, look.plan
    if look.mismatched:
        planned = f"{100 * (1 - plan.share):.0f} : {100 * plan.share:.0f}"
        return (
            f"People are not split as planned: {look.assigned[0]:,} and {look.assigned[1]:,}, where {planned} was "
            "planned. Something sends them, or loses them, by release, so no figure here can be trusted and nothing "
            "is decided. Find out what it is, stop this test, and begin another."
        )
    told = f"{name}: {points(look.primary.difference)} points in {look.counted:,} people, {span(look.primary)}"
    told += f" ({100 * (1 - plan.level):.0f} % sure over all looks)"
    if look.verdict == "better":
        return f"The new release is better. {_capital(told)}."
    if look.verdict in ("worse", "harm"):
        at_once = " It was stopped early for that." if look.verdict == "harm" else ""
        return f"The new release is worse.{at_once} {_capital(told)}."
    if look.verdict == "open":
        return (
            f"No difference was found in as many people as were planned. {_capital(told)}. A difference of "
            f"{points(plan.difference)} would have been found in {100 * plan.power:.0f} of 100 such tests."
        )
    if not look.counted:
        who = "judged both releases" if look.primary.design.paired else "were first answered"
        came = f"{sum(look.assigned):,} came so far"
        return f"Nobody counts yet. People do {plan.window_h:g} hours after they {who}; {came}."
    return f"Nothing is decided yet. {_capital(told)}. At most {left(look):,} more people are needed."


def ended(step: Step) -> str:
    """What a test that is over came to when it ended."""
    told = step.details
    word = "Stopped by hand" if step.state == "stopped" else _VERDICTS[told["verdict"]]
    why = f" ({told['why']})" if told.get("why") else ""
    return f"{word}{why}: {points(told['low'])} to {points(told['high'])} points, n {told['people']:,}"


def left(look: Look) -> int:
    """People until it ends undecided."""
    return max(look.plan.people - look.counted, 0)


def pace(look: Look) -> float:
    """People a day since it began; NaN within its first hour."""
    days = (look.at - datetime.fromisoformat(look.test.at)).total_seconds() / 86_400
    return sum(look.assigned) / days if days > 1 / 24 else math.nan


def rows(look: Look) -> Sequence[tuple[str, ...]]:
    """Each outcome: its name, people and mean in both arms, difference and interval; the primary one first."""
    told = []
    for one in (look.primary, *look.secondary):
        kind = "decides" if one is look.primary else "secondary"
        told.append((f"{OUTCOMES[one.outcome].name} ({kind})", *_arms(one), points(one.difference), span(one)))
    return told


def _arms(one: Reading) -> tuple[str, str]:
    if one.design.paired:
        return "", _mean(one.treatment)
    return _mean(one.control), _mean(one.treatment)


def _mean(arm: tuple[int, float]) -> str:
    return f"{100 * arm[1]:.1f} (n {arm[0]:,})" if arm[0] else "nobody yet"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
