"""What a policy must show before it is released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palate.rounds.step import Context, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGateConfig:
    """`[gate]`: bounds."""

    win_rate: float = 0.5
    """The lower end of the interval of its win rate over the one before is above this."""


def gate(context: Context) -> Outcome:
    """Hold what the evaluation found against the bounds."""
    raise NotImplementedError
