"""Who says which of two answers is better, without knowing how: a person's queue, a model, a formula.

Evaluation asks; `cli` and `world` say who answers. A judge sees a pair in the order it is given, once; whoever asks
shows both orders and averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt

TOGETHER: Final = " + "
"""Between the principles of an opinion that is the mean of several."""


class Pair(NamedTuple):
    """Two answers to one prompt, in the order in which they are shown."""

    prompt: Prompt
    first: str
    second: str

    @property
    def swapped(self) -> Pair:
        """The same pair the other way round."""
        return Pair(self.prompt, self.second, self.first)


class Opinion(NamedTuple):
    """What a judge makes of a pair."""

    p_first: float | None
    """Probability that the first is better, .5 a tie; None when the judge abstained or failed."""
    why: str = ""
    """A judge's words, or why there is no opinion."""
    failed: bool = False
    """There is no opinion because the judge could not be asked; it may be asked again. A judge that was asked and
    would not say has not failed."""
    principle: str = ""
    """By which it judged, if by one; by several, with `TOGETHER` between them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """That the answer cost; 0 where nobody counts."""


class Judge(Protocol):
    """Someone who compares."""

    @property
    def name(self) -> str:
        """As reports call it."""

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair, in their order."""
