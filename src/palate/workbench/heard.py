"""What people who were given these answers wrote about them: context for whoever judges, never a verdict."""

from __future__ import annotations

from html import escape

from palate.store.feedback import Said


def heard_html(said: Said, *, swapped: bool) -> str:
    """Their notes beside the side that each is about; nothing when there are none.

    Args:
        said: Of the comparison's own first and second answer.
        swapped: This rater sees the second on the left.
    """
    left, right = (said.second, said.first) if swapped else (said.first, said.second)
    lines = [("left", note) for note in left] + [("right", note) for note in right]
    if not lines:
        return ""
    items = "".join(f"<li>Of the {side} answer: {escape(note)}</li>" for side, note in lines)
    return f"<p><strong>People who were given these answers wrote:</strong></p><ul>{items}</ul>"
