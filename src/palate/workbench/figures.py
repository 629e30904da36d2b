"""Figures as a page shows them: the value, its interval, n, and a sentence that says what it means."""

from __future__ import annotations

import math
from typing import NamedTuple

from palate.pages.templates import duration, number, percent
from palate.preferences.resampling import Estimate


class Figure(NamedTuple):
    """One tile."""

    name: str
    value: str
    spread: str
    """Interval and n."""
    means: str


def share(name: str, found: Estimate, of: str, means: str, *, nothing: str) -> Figure:
    """A share with its 95 % interval.

    Args:
        name: Of the tile.
        found: The estimate.
        of: What `n` counts, such as "pairs of raters".
        means: The sentence, when there is something to say.
        nothing: The sentence, when nothing is known yet.
    """
    if not found.n:
        return Figure(name, "unknown", "n 0", nothing)
    if math.isnan(found.value):
        return Figure(name, "undefined", f"n {number(found.n)} {of}", "Everyone said the same, so chance says nothing.")
    return Figure(name, percent(found.value), f"{span(found)}, n {number(found.n)} {of}", means)


def plain(name: str, found: Estimate, of: str, means: str, *, nothing: str) -> Figure:
    """As `share`, for figures that are no shares, such as alpha."""
    made = share(name, found, of, means, nothing=nothing)
    if not found.n or math.isnan(found.value):
        return made
    spread = f"{found.low:.2f} to {found.high:.2f}, n {number(found.n)} {of}"
    return Figure(name, f"{found.value:.2f}", spread, means)


def count(name: str, value: float, means: str, spread: str = "") -> Figure:
    """A number that was counted, so that it has no interval."""
    return Figure(name, number(value), spread, means)


def time(name: str, seconds: float, n: int, means: str) -> Figure:
    """A length of time."""
    return Figure(name, duration(seconds), f"median, n {number(n)}", means)


def span(found: Estimate) -> str:
    """An interval of a share."""
    if math.isnan(found.low) or math.isnan(found.high):
        return "interval unknown"
    return f"{100 * found.low:.0f} to {100 * found.high:.0f} %"


def alpha_words(value: float) -> str:
    """What a value of alpha means, in a sentence."""
    if value >= 0.8:
        return "Raters agree far beyond chance; the guideline carries."
    if value >= 0.667:
        return "Raters agree well beyond chance; careful conclusions are possible."
    if value >= 0.4:
        return "Agreement is usual for matters of taste. See below whether the rest is noise or opinion."
    return "Little beyond chance: look at the split verdicts before training on these labels."
