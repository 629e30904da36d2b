"""What the new policy is worth beside the one before it: a win rate on held-out prompts.

The reward model that it was trained to please is the judge where no other is named; that is said with the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palate.rounds.step import Context, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: how the new policy is held against the one before it."""

    count: int = 64
    """Held-out prompts."""
    temperature: float = 0.5
    max_new_tokens: int = 256
    seed: int = 0


def evaluate(context: Context) -> Outcome:
    """The new policy and the one before it answer held-out prompts, and a judge compares."""
    raise NotImplementedError
