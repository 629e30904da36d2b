"""A comparison as a page gets it: blind, with its sides as this rater sees them, and nothing that tells them apart.

Who wrote which answer, and whether the answer is known, never leaves the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palate.pages.markdown import safe_html
from palate.store.attachments import Attachment
from palate.store.feedback import Said
from palate.store.queue import Task
from palate.workbench.asking import Asking
from palate.workbench.heard import heard_html
from palate.workbench.helped import helped_html
from palate.workbench.texts import asked_html

NOTHING = Said()


def card(
    task: Task, asking: Asking, *, note: str = "", said: Said = NOTHING, help: Sequence[Attachment] = ()
) -> dict[str, Any]:
    """What the script of the page draws and sends back."""
    left, right = task.shown
    return {
        "lease": task.lease,
        "comparison": task.comparison.id,
        "prompt_html": asked_html(task.prompt) + heard_html(said, swapped=task.swapped),
        "help_html": helped_html(help, swapped=task.swapped),
        "left_html": safe_html(left),
        "right_html": safe_html(right),
        "left_text": left,
        "right_text": right,
        "warning": asking.warning(task.prompt.kind),
        "note": note,
    }


def cards(
    tasks: Sequence[Task],
    asking: Asking,
    notes: dict[str, str],
    said: dict[str, Said],
    help: dict[str, list[Attachment]],
) -> list[dict[str, Any]]:
    """Several of them; by comparison, `notes` are this rater's drafts, `said` is by users, `help` by models."""
    return [
        card(task, asking, note=notes.get(id, ""), said=said.get(id, NOTHING), help=help.get(id, ()))
        for task in tasks
        for id in (task.comparison.id,)
    ]
