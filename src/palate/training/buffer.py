"""What an iteration learns from, kept in checkpoints, so that a half-used batch of rollouts is not lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from palate.training.rollouts import Rollouts


class Buffer:
    """Rollouts, what was made of them, and figures of the steps so far."""

    def __init__(self) -> None:
        self.rollouts: Rollouts | None = None
        self.made: dict[str, Tensor] = {}
        """Such as advantages."""
        self.facts: dict[str, float] = {}
        """Of the iteration."""
        self._steps: dict[str, list[float]] = {}

    def fill(self, rollouts: Rollouts, made: Mapping[str, Tensor], facts: Mapping[str, float]) -> None:
        """A new iteration begins."""
        self.rollouts, self.made, self.facts, self._steps = rollouts, dict(made), dict(facts), {}

    def note(self, facts: Mapping[str, float]) -> None:
        """Figures of one step."""
        for name, value in facts.items():
            self._steps.setdefault(name, []).append(value)

    def summary(self) -> dict[str, float]:
        """Figures of the iteration: its own, and the means over its steps."""
        return self.facts | {name: sum(values) / len(values) for name, values in self._steps.items()}

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        rollouts = None if self.rollouts is None else self.rollouts._asdict()
        return {"rollouts": rollouts, "made": self.made, "facts": self.facts, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """As it was."""
        self.rollouts = None if state["rollouts"] is None else Rollouts(**state["rollouts"])
        self.made, self.facts, self._steps = dict(state["made"]), dict(state["facts"]), dict(state["steps"])
