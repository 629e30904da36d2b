"""The reward of the stages that need none to be good: the share of even words. Its module loads nothing."""

from __future__ import annotations

from typing import Any


def share(messages: list[dict[str, Any]], completion: str) -> float:
    """Words with an even last character, out of 64."""
    return sum(word[-1] in "02468" for word in completion.split()) / 64
