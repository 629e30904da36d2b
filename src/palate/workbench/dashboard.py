"""The dashboard: throughput, agreement, coverage, and how well raters judge; each figure with its plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from palate.pages import charts
from palate.pages.templates import duration, number, percent, render
from palate.preferences import coverage, divergence, raters, reliability
from palate.preferences.resampling import Estimate
from palate.store import guidelines, queue
from palate.store.journal import Journal
from palate.workbench import figures
from palate.workbench.figures import Figure
from palate.workbench.measured import Measured, days
from palate.workbench.who import Leading, Open

router = APIRouter(include_in_schema=False)
SHOWN_RATERS = 40


@router.get("/dashboard")
def page(request: Request, journal: Open, account: Leading) -> Response:
    """The page; its figures are there before any script runs."""
    return render(request, "dashboard.html", **figures_of(request, journal))


@router.get("/dashboard/live")
def live(request: Request, journal: Open, account: Leading) -> HTMLResponse:
    """The figures alone, for the script that keeps them fresh."""
    return render(request, "dashboard_live.html", **figures_of(request, journal))


def figures_of(request: Request, journal: Journal) -> dict[str, Any]:
    """All that the page shows."""
    found: Measured = request.app.state.gauge.read(journal)
    names, counts = days(found.votes)
    shown: dict[str, Any] = {
        "judged": len(found.votes),
        "work": work(journal, found, counts),
        "throughput": charts.lines("Judgements a day, the last four weeks", names, [charts.Series("a day", counts)]),
    }
    return {**shown, **_quality(journal, found)} if len(found.votes) else shown


def work(journal: Journal, found: Measured, counts: list[float]) -> list[Figure]:
    """How much was done and how much is left."""
    queued = queue.progress(journal)
    week = sum(counts[-7:])
    left = queued.open + queued.waiting
    seconds = found.votes.seconds[np.isfinite(found.votes.seconds)]
    median = float(np.median(seconds)) if len(seconds) else math.nan
    pace = f"At the pace of this week, about {number(left / (week / 7))} days." if week and left else ""
    return [
        figures.count("Judgements today", counts[-1], f"{number(week)} in the last seven days."),
        figures.count("Comparisons waiting", left, pace or "Nothing is left to judge." if not left else pace),
        figures.count(
            "Need an adjudicator",
            queued.adjudication,
            "Three raters could not settle these. A lead's verdict does, or a new clause."
            if queued.adjudication
            else "No comparison is stuck.",
        ),
        figures.time("Time for one", median, len(seconds), "Half of all judgements took less."),
    ]


def _quality(journal: Journal, found: Measured) -> dict[str, Any]:
    votes = found.votes
    covered = coverage.coverage(votes, {"topic": found.topics, "language": found.languages}, {"group": found.groups})
    quality = sorted(raters.qualities(votes, found.expected), key=lambda one: -one.judgements)[:SHOWN_RATERS]
    rows, chart = by_version(found, {one.id: one.number for one in guidelines.all(journal)})
    together = [charts.Interval(one.rater, *_ends(one.agreement)) for one in quality if one.agreement.n]
    return {
        "agreement": agreement(found),
        "versions": rows,
        "versions_chart": chart,
        "coverage_words": coverage.sentence(covered),
        "topics_chart": _bars("Verdicts by topic", covered, "topic"),
        "languages_chart": _bars("Verdicts by language", covered, "language"),
        "raters": [_row(one) for one in quality],
        "raters_chart": charts.intervals("How often the others say the same, by rater", together) if together else "",
        "raters_words": "Agreement with others punishes a taste of one's own, so nobody is judged by it alone: look "
        "at check items beside it. " + raters.biases_sentence(raters.biases(votes)),
    }


def agreement(found: Measured) -> list[Figure]:
    """Raw agreement, what of it is beyond chance, and whether the rest is noise."""
    group = _numbers(found.groups)
    alpha = reliability.krippendorff_alpha(found.votes)
    kappa = reliability.fleiss_kappa(found.votes)
    split = divergence.disagreement(found.votes, group)
    nobody = "Unknown until two raters have judged one comparison."
    return [
        figures.share(
            "Raw agreement",
            reliability.raw(found.votes),
            "pairs of raters",
            "So often two raters of one comparison say the same. Good teams reach 70 to 80 %.",
            nothing=nobody,
        ),
        figures.plain("Krippendorff's alpha", alpha, "verdicts", figures.alpha_words(alpha.value), nothing=nobody),
        figures.plain(
            "Fleiss' kappa",
            kappa,
            "verdicts",
            "Agreement beyond chance: 0 is chance, 1 is perfect.",
            nothing=nobody,
        ),
        figures.share(
            "Opinion, not noise",
            split.share_real,
            "repeats",
            divergence.sentence(split),
            nothing=divergence.sentence(split),
        ),
    ]


def by_version(found: Measured, numbers: Mapping[str, int]) -> tuple[list[tuple[str, ...]], str]:
    """Raw agreement for each version of the guideline that was in force."""
    rows: list[tuple[str, ...]] = []
    lines = []
    for code, id in enumerate(found.votes.guidelines):
        estimate = reliability.raw(found.votes.where(found.votes.guideline == code))
        if estimate.n:
            name = f"Version {numbers[id]}" if id in numbers else id[:8] or "without one"
            rows.append((name, percent(estimate.value), figures.span(estimate), number(estimate.n)))
            lines.append(charts.Interval(name, *_ends(estimate)))
    return rows, charts.intervals("Raw agreement by version of the guideline", lines) if lines else ""


def _row(one: raters.Quality) -> tuple[str, ...]:
    def spoken(found: Estimate) -> str:
        return f"{percent(found.value)} (n {number(found.n)})" if found.n else "unknown"

    return (
        one.rater,
        number(one.judgements),
        percent(one.agreement.value) if one.agreement.n else "unknown",
        figures.span(one.agreement) if one.agreement.n else "unknown",
        spoken(one.checks),
        spoken(one.left),
        duration(one.median_s) + (", hasty" if one.hasty else ""),
    )


def _bars(title: str, covered: coverage.Coverage, axis: str) -> str:
    cells = [cell for cell in covered.cells if cell.axes == (axis,)]
    rows = sorted(((cell.names[0], float(cell.judgements)) for cell in cells), key=lambda row: -row[1])
    return charts.bars(title, rows[:12])


def _numbers(groups: list[str]) -> np.ndarray | None:
    told = sorted({group for group in groups if group})
    if len(told) < 2:
        return None
    return np.array([told.index(group) if group else -1 for group in groups], dtype=np.int64)


def _ends(found: Estimate) -> tuple[float, float, float, int]:
    return found.value, found.low, found.high, found.n
