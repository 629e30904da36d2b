"""A rater's own page: how they judge, against the team without names. Nobody else sees it, and it locks nobody out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from palate.pages import charts
from palate.pages.templates import duration, render, when
from palate.preferences import raters
from palate.preferences.raters import Quality
from palate.preferences.resampling import Estimate
from palate.store import guidelines, onboarding, profiles
from palate.workbench import asking, figures
from palate.workbench.figures import Figure
from palate.workbench.who import Open, Sitting

router = APIRouter(include_in_schema=False)
BAND = 4
"""So many other raters a band needs: among fewer, everybody knows who is who."""


class Band(NamedTuple):
    """The middle half of the others."""

    low: float
    high: float
    raters: int


@router.get("/coach")
def page(request: Request, journal: Open, seat: Sitting) -> Response:
    """The page of whoever asks; there is no address for another's."""
    found = request.app.state.gauge.read(journal)
    all_of_them = raters.qualities(found.votes, found.expected)
    mine = next((one for one in all_of_them if one.rater == seat.rater), None)
    others = [one for one in all_of_them if one.rater != seat.rater]
    numbers = {one.id: one.number for one in guidelines.all(journal)}
    passes = [
        (f"Version {numbers.get(one.guideline, '?')}", f"{one.correct} of {one.of}", when(one.at))
        for one in onboarding.of(journal, seat.rater)
    ]
    kinds = {topic for topic in found.topics if asking.asking(journal).warning(topic)}
    avoided = profiles.avoided(journal, seat.rater)
    return render(
        request,
        "coach.html",
        judged=mine is not None,
        figures=figures_of(mine, others) if mine else [],
        chart=chart(mine, others) if mine else "",
        passes=passes,
        warned=sorted(kinds | set(avoided)),
        avoided=avoided,
    )


def figures_of(mine: Quality, others: Sequence[Quality]) -> list[Figure]:
    """Their own figures, each with what it means for them."""
    return [
        figures.share(
            "With the others",
            mine.agreement,
            "verdicts of others",
            f"So often another rater of the same comparison said the same. {_band(others, _agreement)}",
            nothing="Unknown until somebody else has judged what you judged.",
        ),
        figures.share(
            "Known answers",
            mine.checks,
            "check items",
            f"Comparisons whose answer is known, hidden in the queue. {_band(others, _checks)}",
            nothing="You have met none so far.",
        ),
        figures.share(
            "With yourself",
            mine.repeats,
            "repeats",
            "You were asked again, with the sides swapped, and said the same.",
            nothing="Nothing was shown to you twice so far.",
        ),
        figures.share(
            "First one chosen",
            mine.left,
            "verdicts for a side",
            _side_words(mine.left),
            nothing="Unknown until you have preferred a side.",
        ),
        figures.share(
            "Longer one chosen",
            mine.longer,
            "verdicts for a side",
            _length_words(mine.longer, others),
            nothing="Unknown until you have preferred a side.",
        ),
        Figure(
            "Your pace",
            duration(mine.median_s),
            f"median, n {mine.judgements}",
            f"That looks hasty: {mine.hasty}. Everything counts all the same."
            if mine.hasty
            else "Half of your judgements took less. There is no prize for speed.",
        ),
    ]


def chart(mine: Quality, others: Sequence[Quality]) -> str:
    """Their shares with intervals, and below each the band of the team."""
    lines = []
    for name, of in (
        ("With the others", _agreement),
        ("Known answers", _checks),
        ("First one chosen", _left),
        ("Longer one chosen", _longer),
    ):
        own = of(mine)
        if not own.n:
            continue
        lines.append(charts.Interval(name, own.value, own.low, own.high, own.n))
        team = band([of(one) for one in others])
        if team:
            lines.append(charts.Interval("team", (team.low + team.high) / 2, team.low, team.high, team.raters))
    return charts.intervals("Your shares, and the team's middle half", lines, mark=0.5) if lines else ""


def band(found: Sequence[Estimate]) -> Band | None:
    """The middle half of the others' values; nothing when they are too few to hide in."""
    values = [one.value for one in found if one.n and not math.isnan(one.value)]
    if len(values) < BAND:
        return None
    low, high = np.quantile(values, [0.25, 0.75])
    return Band(float(low), float(high), len(values))


def _band(others: Sequence[Quality], of: Callable[[Quality], Estimate]) -> str:
    team = band([of(one) for one in others])
    if team is None:
        return "The team is too small to show the others without naming them."
    return f"The middle half of the team: {100 * team.low:.0f} to {100 * team.high:.0f} % ({team.raters} raters)."


def _side_words(left: Estimate) -> str:
    if not left.n or left.low <= 0.5 <= left.high:
        return "No sign that the side matters to you; 50 % is even."
    side = "first" if left.value > 0.5 else "second"
    return f"You lean to the {side} one, more than chance would. Sides are dealt evenly, so 50 % is even."


def _length_words(longer: Estimate, others: Sequence[Quality]) -> str:
    team = _band(others, _longer)
    if not longer.n or longer.low <= 0.5 <= longer.high:
        return f"No sign that length decides for you. {team}"
    size = "longer" if longer.value > 0.5 else "shorter"
    return f"You prefer the {size} one. That can be right; ask yourself whether it says more. {team}"


def _agreement(one: Quality) -> Estimate:
    return one.agreement


def _checks(one: Quality) -> Estimate:
    return one.checks


def _left(one: Quality) -> Estimate:
    return one.left


def _longer(one: Quality) -> Estimate:
    return one.longer
