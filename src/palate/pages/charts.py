"""Small pictures as inline SVG, drawn on the server: no script, no style attribute, colours from the style sheet.

Each has a sentence for those who do not see it, and a table or a figure beside it on the page says the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH = 440
"""Narrow, so that letters can still be read on a telephone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 26
SERIES = ("blue", "orange", "violet", "grey")
"""Classes of colours, in the order in which series get them; dashes tell them apart too."""
_DASHES = ("none", "7 4", "2 4", "9 3 2 3")


class Series(NamedTuple):
    """A line over evenly spaced places. NaN is a gap."""

    name: str
    values: Sequence[float]


class Interval(NamedTuple):
    """A value with its interval, one line of `intervals`."""

    name: str
    value: float
    low: float
    high: float
    n: int


class Band(NamedTuple):
    """A value with its interval, over places that need not be evenly spaced."""

    places: Sequence[float]
    """From 0 up."""
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def lines(title: str, labels: Sequence[str], series: Sequence[Series], *, height: int = 160, top: float = 0) -> Markup:
    """Lines over named places, such as days.

    Args:
        title: The sentence for those who do not see it.
        labels: One for each place; the first, the middle and the last are written.
        series: At most four, each as long as `labels`.
        height: In units of the picture, which is 440 wide.
        top: The scale goes at least so far.
    """
    finite = [v for one in series for v in one.values if math.isfinite(v)]
    peak = _round_up(max([top, *finite], default=1.0) or 1.0)
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    step = wide / max(1, len(labels) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return _LEFT + index * step, _TOP + high * (1 - value / peak)

    parts = [_horizontal(_TOP + high * (1 - share), _short(peak * share)) for share in (0.0, 0.5, 1.0)]
    for index in sorted({0, len(labels) // 2, len(labels) - 1} if labels else ()):
        anchor = "start" if index == 0 else "end" if index == len(labels) - 1 else "middle"
        parts.append(_text(_LEFT + index * step, height - 8, labels[index], anchor))
    for one, colour, dash in zip(series, SERIES, _DASHES, strict=False):
        for run in _runs(one.values):
            points = " ".join("{:.1f},{:.1f}".format(*place(index, one.values[index])) for index in run)
            if len(run) == 1:
                x, y = place(run[0], one.values[run[0]])
                parts.append(f'<circle class="fill-{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
            else:
                parts.append(f'<polyline class="{colour}" stroke-dasharray="{dash}" points="{points}"/>')
    return _svg(title, height, parts)


def bars(title: str, rows: Sequence[tuple[str, float]], *, unit: str = "") -> Markup:
    """Horizontal bars from 0, each with its name and number."""
    peak = max((value for _, value in rows if math.isfinite(value)), default=0.0) or 1.0
    start, wide = 130, WIDTH - 130 - 60
    parts = []
    for index, (name, value) in enumerate(rows):
        y = 6 + index * 24
        length = wide * max(0.0, value if math.isfinite(value) else 0.0) / peak
        parts.append(_text(start - 10, y + 13, _cut(name, 18), "end"))
        parts.append(f'<rect class="fill-blue" x="{start}" y="{y}" width="{length:.1f}" height="16" rx="2"/>')
        parts.append(_text(start + length + 6, y + 13, f"{_short(value)}{unit}", "start"))
    return _svg(title, 12 + 24 * len(rows), parts)


def intervals(
    title: str, rows: Sequence[Interval], *, low: float = 0.0, high: float = 1.0, mark: float | None = None
) -> Markup:
    """Values with their intervals on one scale of shares.

    Args:
        title: The sentence for those who do not see it.
        rows: One line each.
        low: Left end of the scale.
        high: Right end.
        mark: Where a thin line stands, such as 0.5 for "no side preferred".
    """
    start, wide = 130, WIDTH - 130 - 62
    height = 30 + 26 * len(rows)

    def x(value: float) -> float:
        return start + wide * (min(max(value, low), high) - low) / (high - low)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = low + share * (high - low)
        parts.append(f'<line class="axis" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="4" y2="{height - 20}"/>')
        parts.append(_text(x(at), height - 6, f"{100 * at:.0f} %", "middle"))
    if mark is not None:
        parts.append(
            f'<line class="grey" stroke-dasharray="3 3" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="4" '
            f'y2="{height - 20}"/>'
        )
    for index, row in enumerate(rows):
        y = 18 + index * 26
        parts.append(_text(start - 10, y + 4, _cut(row.name, 16), "end"))
        parts.append(_text(WIDTH - 4, y + 4, f"n {row.n}", "end"))
        if math.isfinite(row.value):
            left = row.low if math.isfinite(row.low) else row.value
            right = row.high if math.isfinite(row.high) else row.value
            parts.append(
                f'<line class="blue" stroke-width="2" x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{y}" y2="{y}"/>'
            )
            parts.append(f'<circle class="fill-blue" cx="{x(row.value):.1f}" cy="{y}" r="4.5"/>')
        else:
            parts.append(_text(start + 6, y + 4, "unknown", "start"))
    return _svg(title, height, parts)


def band(title: str, series: Band, *, within: float, unit: float = 1.0) -> Markup:
    """A value with its interval as it went, around 0; what is further out than the scale is drawn at its edge.

    Args:
        title: The sentence for those who do not see it.
        series: What is drawn.
        within: The scale goes from minus this to this.
        unit: What one of the numbers at the side is, such as .01 for points.
    """
    height = 200
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    most = max(series.places, default=0) or 1
    peak = _round_up(within / unit) * unit

    def place(at: float, value: float) -> str:
        y = _TOP + high / 2 * (1 - min(max(value / peak, -1.0), 1.0))
        return f"{_LEFT + wide * at / most:.1f},{y:.1f}"

    parts = [
        _horizontal(_TOP + high / 2 * (1 - share), f"{peak * share / unit:+.3g}".replace("-", "−"))
        for share in (1.0, 0.5, -0.5, -1.0)
    ]
    edge = [place(at, top) for at, top in zip(series.places, series.high, strict=True)]
    edge += [place(at, low) for at, low in list(zip(series.places, series.low, strict=True))[::-1]]
    parts.append(f'<polygon class="fill-blue" fill-opacity="0.25" points="{" ".join(edge)}"/>')
    middle = " ".join(place(at, value) for at, value in zip(series.places, series.values, strict=True))
    parts.append(f'<polyline class="blue" points="{middle}"/>')
    y = _TOP + high / 2
    parts.append(f'<line class="grey" stroke-dasharray="3 3" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
    parts.append(_text(_LEFT - 6, y + 4, "0", "end"))
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(_text(_LEFT + wide * share, height - 8, f"{most * share:,.0f}".replace(",", "\u202f"), anchor))
    return _svg(title, height, parts)


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    drawn = "".join(parts)
    return Markup(  # every text inside went through `escape`  # noqa: S704, RUF100
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{escape(title)}">{drawn}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _horizontal(y: float, label: str) -> str:
    line = f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(_LEFT - 6, y + 4, label, "end")


def _runs(values: Sequence[float]) -> list[list[int]]:
    """Places of finite values, cut where one is missing."""
    found: list[list[int]] = [[]]
    for index, value in enumerate(values):
        if math.isfinite(value):
            found[-1].append(index)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(float(power * step) for step in (1, 2, 5, 10) if power * step >= value * 0.999)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
