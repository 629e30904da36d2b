"""Pictures as inline SVG whose colours are the page's, so that light and dark both work.

Matplotlib draws with the light palette; afterwards every colour becomes a CSS variable. The same
data give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

from palate.core.palette import LIGHT
from palate.evaluation.statistics import Figure

SERIES = ("blue", "orange", "violet", "grey")
"""Colours in the order in which series get them."""
_DASHES = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "D")
_INCHES = (4.2, 2.9)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "palate",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["quiet"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["quiet"],
    "ytick.color": LIGHT["quiet"],
    "text.color": LIGHT["ink"],
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One curve. With `low` and `high`, each point gets an interval."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    faint: Sequence[float] = ()
    """The same curve before smoothing, drawn pale behind it."""
    dots: bool = False
    """Single points and no curve."""


def curves(
    lines: Sequence[Line],
    *,
    title: str,
    x: str,
    y: str,
    level: float | None = None,
    log_x: bool = False,
    dots: bool = False,
) -> str:
    """Curves over one axis.

    Args:
        lines: At most four, told apart by colour and by dashes.
        title: Also read out by screen readers.
        x: Name of the axis, with its unit.
        y: The same, upright.
        level: A line to compare with, such as chance.
        log_x: Powers of two on the horizontal axis.
        dots: Mark the single points.

    Returns:
        An `<svg>` element.
    """

    def draw(axes: Any) -> None:
        for index, line in enumerate(lines):
            colour = LIGHT[SERIES[index % len(SERIES)]]
            if line.faint:
                axes.plot(line.x, line.faint, color=colour, linewidth=0.8, alpha=0.35)
            mark = _MARKS[index % len(_MARKS)] if dots or line.dots else ""
            dashes = " " if line.dots else _DASHES[index % len(_DASHES)]
            axes.plot(line.x, line.y, dashes, color=colour, label=line.label, marker=mark, markersize=4)
            if line.low:
                axes.vlines(line.x, line.low, line.high, color=colour, linewidth=1.2)
        if level is not None:
            axes.axhline(level, color=LIGHT["grey"], linewidth=1, linestyle=":")
        if log_x:
            axes.set_xscale("log", base=2)
            ticks = sorted({value for line in lines for value in line.x})
            axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
            axes.minorticks_off()
        axes.set(title=title, xlabel=x, ylabel=y)
        if len(lines) > 1 or lines[0].label:
            axes.legend()

    return _svg(draw, _INCHES, title)


def intervals(
    rows: Sequence[tuple[str, Figure]],
    *,
    title: str,
    x: str,
    level: float | None = None,
    span: tuple[float, float] | None = None,
) -> str:
    """A dot with its interval for each row, from top to bottom.

    Rows below `level` have a square in another colour; `span` fixes the horizontal axis, so that
    neighbouring pictures can be compared.
    """

    def draw(axes: Any) -> None:
        for position, (_, figure) in enumerate(rows):
            colour = LIGHT["blue"] if level is None or figure.value >= level else LIGHT["orange"]
            mark = "o" if level is None or figure.value >= level else "s"
            axes.hlines(position, figure.low, figure.high, color=colour, linewidth=2)
            axes.plot(figure.value, position, mark, color=colour, markersize=6)
        if level is not None:
            axes.axvline(level, color=LIGHT["grey"], linewidth=1, linestyle=":")
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        if span is not None:
            axes.set_xlim(span[0] - 0.02, span[1] + 0.02)
        axes.set(title=title, xlabel=x)

    return _svg(draw, (_INCHES[0], 1.1 + 0.34 * len(rows)), title)


def standalone(svg: str) -> str:
    """An SVG from a page as a file of its own: light colours, on paper."""
    svg = re.sub(r"var\(--(\w+)\)", lambda match: LIGHT[match[1]], svg)
    paper = f'<rect width="100%" height="100%" fill="{LIGHT["panel"]}"/>'
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{paper}{rest}'


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """Centred running mean; near the ends over what is there."""
    half = width // 2
    parts = [values[max(i - half, 0) : i + half + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def _svg(draw: Callable[[Any], None], inches: tuple[float, float], title: str) -> str:
    with rc_context(_STYLE):
        canvas = Canvas(figsize=inches, layout="constrained")
        draw(canvas.subplots())
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib|xtick|ytick|legend|LineCollection)[^"]*"', "", text
    )
    names = {value: name for name, value in LIGHT.items()}
    text = re.sub(r"#[0-9a-f]{6}", lambda m: f"var(--{names[m[0]]})" if m[0] in names else m[0], text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would hold for the whole page
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    head = re.search(r'viewBox="[^"]*"', text)
    if head is None:
        raise AssertionError("matplotlib wrote an SVG without a view box")
    body = text[text.index(">") + 1 :]
    return f'<svg {head[0]} role="img" aria-label="{escape(title)}" xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
