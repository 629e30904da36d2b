"""The scale on the keys, and what a key means for the comparison's own sides.

A rater sees the two answers in an order that the server drew. On the page `first` is the one on the left or above;
in the comparison `first` is a completion of its own. Only this module knows how one becomes the other.
"""

from __future__ import annotations

from typing import NamedTuple

from palate.core.records import Verdict


class Step(NamedTuple):
    """One key of the scale."""

    key: str
    word: str
    """On the button."""
    says: str
    """In full."""


SCALE = (
    Step("1", "much better", "first much better"),
    Step("2", "better", "first better"),
    Step("3", "slightly", "first slightly better"),
    Step("4", "equal", "equally good"),
    Step("5", "slightly", "second slightly better"),
    Step("6", "better", "second better"),
    Step("7", "much better", "second much better"),
)
SKIPS = (
    ("1", "language", "I do not know this language"),
    ("2", "topic", "I do not know this subject"),
    ("3", "unclear", "The question makes no sense"),
    ("4", "broken", "The texts are broken"),
    ("5", "unpleasant", "I would rather not read this"),
    ("6", "other", "Another reason"),
)
SKIP_NAMES = tuple(name for _, name, _ in SKIPS)
BOTH_BAD, SKIP = "both_bad", "skip"
PLACES = (*(step.key for step in SCALE), BOTH_BAD, SKIP)
"""All that a rater can answer."""


class Said(NamedTuple):
    """A verdict about the comparison's own sides."""

    verdict: Verdict
    strength: int


def said(place: str, *, swapped: bool) -> Said:
    """What an answer on the page means.

    Args:
        place: One of `PLACES`, as the rater saw the two answers.
        swapped: The rater saw the comparison's `second` on the left, or above.

    Raises:
        ValueError: `place` is none of them.
    """
    if place == BOTH_BAD:
        return Said(Verdict.BOTH_BAD, 0)
    if place == SKIP:
        return Said(Verdict.SKIP, 0)
    lean = PLACES.index(place) - 3
    if not -3 <= lean <= 3:
        raise ValueError(place)
    if lean == 0:
        return Said(Verdict.TIE, 0)
    left = lean < 0
    return Said(Verdict.FIRST if left != swapped else Verdict.SECOND, abs(lean))


def spoken(verdict: Verdict, strength: int, *, swapped: bool) -> str:
    """A verdict in the words of the page, as this rater saw the two answers."""
    if verdict not in (Verdict.FIRST, Verdict.SECOND):
        return {Verdict.TIE: "equally good", Verdict.BOTH_BAD: "both bad"}.get(verdict, "skipped")
    side = "first" if (verdict is Verdict.FIRST) != swapped else "second"
    degree = {1: "slightly better", 3: "much better"}.get(strength, "better")
    return f"{side} {degree}"


def side(left: bool, *, swapped: bool) -> Verdict:
    """The comparison's own side that stood on the left (or on the right)."""
    return Verdict.FIRST if left != swapped else Verdict.SECOND
