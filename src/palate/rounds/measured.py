"""What one part of an evaluation came to, as a file holds it and as gates read it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from palate.evaluation.statistics import Figure

SHOWN: Final = 3
"""Examples of each thing that went wrong."""
_CHARACTERS: Final = 1_500


class Example(NamedTuple):
    """Something that a person should see before they judge a figure."""

    prompt: str
    answer: str
    """Of the new policy."""
    before: str = ""
    """Of the policy that it is held against."""
    note: str = ""


class Measured(NamedTuple):
    """Figures by name, and what belongs to them."""

    figures: Mapping[str, Figure] = {}
    says: Mapping[str, str] = {}
    """By name, a sentence about what the figure means."""
    examples: Mapping[str, list[Example]] = {}
    """By name, the worst ones first."""
    unmeasured: Mapping[str, str] = {}
    """By name, why there is no figure."""
    inputs: Mapping[str, str] = {}
    """Role to artefact id."""
    told: Mapping[str, Any] = {}
    """Whatever else; JSON."""

    def with_(self, other: Measured) -> Measured:
        """Both."""
        both = (({**mine, **theirs}) for mine, theirs in zip(self, other, strict=True))
        return Measured(*both)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, less the ids, which the manifest holds."""
        return {
            "figures": {name: _plain(figure) for name, figure in self.figures.items()},
            "says": dict(self.says),
            "unmeasured": dict(self.unmeasured),
            "examples": {
                name: [{key: text[:_CHARACTERS] for key, text in one._asdict().items()} for one in some[:SHOWN]]
                for name, some in self.examples.items()
                if some
            },
            **self.told,
        }


def of(told: Mapping[str, Any]) -> Measured:
    """What `Measured.as_dict` wrote."""
    rest = {key: value for key, value in told.items() if key not in ("figures", "says", "unmeasured", "examples")}
    return Measured(
        figures={name: _figure(one) for name, one in told["figures"].items()},
        says=told["says"],
        examples={name: [Example(**one) for one in some] for name, some in told["examples"].items()},
        unmeasured=told["unmeasured"],
        told=rest,
    )


def _plain(figure: Figure) -> dict[str, Any]:
    ends = {key: getattr(figure, key) for key in ("value", "low", "high")}
    return {**{key: one if math.isfinite(one) else None for key, one in ends.items()}, "n": figure.n}


def _figure(told: Mapping[str, Any]) -> Figure:
    value, low, high = (math.nan if told[key] is None else float(told[key]) for key in ("value", "low", "high"))
    return Figure(value, low, high, int(told["n"]))
