"""A reward function as a user would write one. It is called in a process of its own, so it imports nothing."""

from __future__ import annotations


def brevity(messages: list[dict[str, str]], completion: str) -> float | None:
    """Short answers are better; of an empty one it has no opinion."""
    return -len(completion) / 10 if completion else None
