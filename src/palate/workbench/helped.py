"""Help that a model wrote, beside the answers that it is about: titled by what it is and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from palate.pages.markdown import safe_html
from palate.store.attachments import KINDS, Attachment

TITLES: Final = {"summary": "Summary", "check": "Claim checked", "critique": "Critique", "debate": "Argument"}
_SIDES: Final = ("both", "left", "right")


def helped_html(some: Sequence[Attachment], *, swapped: bool) -> str:
    """Attachments as notes: those on one answer above it, those on both across; nothing when there are none.

    Args:
        some: What this rater is shown, with the comparison's own sides.
        swapped: This rater sees the second answer on the left.
    """
    placed = sorted(
        ((one.turn, KINDS.index(one.kind), _SIDES.index(_side(one.side, swapped)), one) for one in some),
        key=lambda found: found[:3],
    )
    return "".join(_note(one, _SIDES[side]) for *_, side, one in placed)


def _note(one: Attachment, side: str) -> str:
    turn = f", turn {one.turn}" if one.turn else ""
    about = {"both": "", "left": "first answer", "right": "second answer"}[side]
    which = f" {'for' if one.kind == 'debate' else 'of'} the {about}" if about else ""
    title = f"{TITLES[one.kind]}{which}{turn}, by {escape(one.helper)}"
    return f'<div class="note {side}"><h3 class="small">{title}</h3>{safe_html(one.text)}</div>'


def _side(own: str, swapped: bool) -> str:
    return {"": "both", "first": "right" if swapped else "left", "second": "left" if swapped else "right"}[own]
