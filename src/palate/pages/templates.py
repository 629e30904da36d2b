"""Pages from Jinja templates: everything escaped, the same things at hand on every page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from palate.pages.markdown import safe_html

OWN = Path(__file__).parent / "templates"
THEMES = ("light", "dark")


def environment(folders: Sequence[Path]) -> Environment:
    """An environment that finds templates in these folders, and Palate's shared ones after them."""
    made = Environment(
        loader=FileSystemLoader([*folders, OWN]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["markdown"] = lambda text: Markup(safe_html(text))
    made.filters["percent"] = percent
    made.filters["number"] = number
    made.filters["when"] = when
    made.filters["duration"] = duration
    return made


def render(request: Request, template: str, /, **context: Any) -> HTMLResponse:
    """The page of a template. `account`, `csrf`, `nav`, `path` and `theme` are there in every one."""
    state = request.app.state
    chosen = request.cookies.get("theme", "")
    account = getattr(request.state, "account", None)
    shared = {
        "account": account,
        "csrf": getattr(request.state, "csrf", ""),
        "nav": [item for item in state.nav if account is not None and account.role in item.roles],
        "path": request.url.path,
        "theme": chosen if chosen in THEMES else "",
        "notice": "",
    }
    return HTMLResponse(state.templates.get_template(template).render({**shared, **context}))


def quoted(text: str) -> str:
    """A text as it may stand in a query."""
    return quote(text, safe="/")


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage; "unknown" where there is none, never NaN."""
    if value is None or math.isnan(value):
        return "unknown"
    return f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thin spaces between thousands; "unknown" where there is none."""
    if value is None or math.isnan(value):
        return "unknown"
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def when(stamp: str | float | None) -> str:
    """A moment as people write it, to the minute, in UTC."""
    if not stamp:
        return "never"
    moment = datetime.fromisoformat(stamp) if isinstance(stamp, str) else datetime.fromtimestamp(stamp, UTC)
    return moment.strftime("%Y-%m-%d %H:%M")


def duration(seconds: float | None) -> str:
    """A length of time in the unit that reads best."""
    if seconds is None or math.isnan(seconds):
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
