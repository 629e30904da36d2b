"""What a target is: how its rows are made, and how its trainer is told about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.core.records import Demonstration, Preference, Prompt

Row = dict[str, Any]
PREFERENCES, DEMONSTRATIONS, PROMPTS = "preferences", "demonstrations", "prompts"


def _nothing_beside(_path: Path, _what: str) -> tuple[Path, ...]:
    """The file is all that the trainer needs."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The files of one trainer. A function that makes a row raises DataError when the record has no place there."""

    name: str
    suffixes: tuple[str, ...]
    """How the name of its files may end."""
    preference: Callable[[Preference], Row]
    demonstration: Callable[[Demonstration], Row]
    prompt: Callable[[Prompt, int], Row] | None
    """Given the number of the row, from 0; None where the trainer takes no prompts without answers."""
    use: Mapping[str, str]
    """How the trainer is told, for each of `preferences`, `demonstrations` and `prompts`."""
    keeps_kind_of: frozenset[str] = frozenset()
    """Which of the three keep the label of a prompt."""
    beside: Callable[[Path, str], tuple[Path, ...]] = _nothing_beside
    """Writes what must stand beside the file, given its path and which of the three it holds."""


def said(text: str) -> list[dict[str, str]]:
    """One turn by the assistant."""
    return [{"role": "assistant", "content": text}]
