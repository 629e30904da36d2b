"""Figures as the results file has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palate.evaluation.statistics import Figure, proportion


def row(name: str, figure: Figure, seeds: int = 1) -> dict[str, Any]:
    """A figure with its name; `seeds` says how many were averaged."""
    return {"name": name, **{key: getattr(figure, key) for key in ("value", "low", "high", "n")}, "seeds": seeds}


def share(hits: Iterable[bool]) -> Figure:
    """How many of them are true, with Wilson's interval."""
    told = list(hits)
    return proportion(sum(told), len(told))
