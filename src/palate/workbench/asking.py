"""What raters are asked: reasons to choose from, topics with a warning, what the work costs. Kept in the project."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from palate.core.errors import ConfigError
from palate.store import settings
from palate.store.journal import Journal

REASONS = ("helpful", "honest", "harmless", "accurate", "clear", "length", "tone", "format")
"""The three axes first; a project may choose others."""
WARNED = ("harmful", "harmless", "red-team", "safety", "violence", "self-harm")
"""Kinds of prompts that may be unpleasant to read."""
_ASKING, _BUDGET = "workbench.asking", "workbench.budget"


@dataclass(frozen=True, slots=True)
class Asking:
    """What the rating page offers."""

    reasons: tuple[str, ...] = REASONS
    warned: tuple[str, ...] = WARNED

    def warning(self, topic: str) -> str:
        """What a rater is told before a comparison of this topic is shown; "" when nothing."""
        return f"Topic: {topic}." if topic and topic.lower() in self.warned else ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What there is to spend, and what a unit of work costs; 0 when nobody said."""

    budget: float = 0.0
    comparison: float = 0.0
    demonstration: float = 0.0
    currency: str = "EUR"

    def __post_init__(self) -> None:
        for name in ("budget", "comparison", "demonstration"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ConfigError("an amount is none", where=name, expected="a number from 0 on", found=str(value))

    def spent(self, comparisons: int, demonstrations: int) -> float:
        """What so much work has cost."""
        return comparisons * self.comparison + demonstrations * self.demonstration


def asking(journal: Journal) -> Asking:
    """What raters of this project are asked."""
    kept = settings.get(journal, _ASKING) or {}
    return Asking(tuple(kept.get("reasons", REASONS)), tuple(kept.get("warned", WARNED)))


def put_asking(journal: Journal, reasons: tuple[str, ...], warned: tuple[str, ...]) -> None:
    """Change it, for everybody and from now on."""
    settings.put(journal, _ASKING, {"reasons": list(reasons), "warned": [topic.lower() for topic in warned]})


def budget(journal: Journal) -> Budget:
    """The project's budget."""
    return Budget(**(settings.get(journal, _BUDGET) or {}))


def put_budget(journal: Journal, budget: Budget) -> None:
    """Change it."""
    settings.put(journal, _BUDGET, asdict(budget))
