"""Who is examined, without knowing how it answers: a model folder, a release, a server anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt


class Answer(NamedTuple):
    """What a subject said, or why it said nothing."""

    text: str
    finished: bool = True
    """False when the length limit cut it off."""
    error: str = ""
    """Why there is no answer; then `text` is empty, and nobody may count it as one."""

    def unusable(self, *, cut_off: bool = False) -> str:
        """Why there is nothing to go on with, or nothing at all; `cut_off` says that half an answer will do."""
        if self.error or not self.text.strip():
            return self.error or "nothing was said"
        return "" if self.finished or cut_off else "it was cut off"


class Subject(Protocol):
    """Someone who answers."""

    @property
    def name(self) -> str:
        """As reports call it."""

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0, progress: Progress = SILENT) -> list[Answer]:
        """One answer a prompt, in their order. The same seed gives the same answers where the subject allows it."""
