"""How long work tells what it is doing, without knowing who listens.

Recipes and imports report to a `Progress`; `cli` fills it in with a live display, tests with none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Someone who listens to long work."""

    def start(self, task: str, total: int) -> None:
        """`task` begins, and has `total` steps."""

    def advance(self, done: int, facts: Mapping[str, float] | None = None) -> None:
        """`done` steps of the current task are finished; `facts` are its newest figures."""

    def note(self, sentence: str) -> None:
        """Something a person should know now, while the task goes on."""

    def finish(self, sentence: str = "") -> None:
        """The current task is over; `sentence` says what came of it."""


class Silent:
    """Nobody listens."""

    def start(self, task: str, total: int) -> None:
        """Ignore it."""

    def advance(self, done: int, facts: Mapping[str, float] | None = None) -> None:
        """Ignore it."""

    def note(self, sentence: str) -> None:
        """Ignore it."""

    def finish(self, sentence: str = "") -> None:
        """Ignore it."""


SILENT: Progress = Silent()
