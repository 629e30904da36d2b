"""Several answers to one prompt, each with a score: every two of them are a pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from palate.core.errors import DataError
from palate.core.records import Prompt
from palate.formats.imported import ImportedPair
from palate.formats.shape import Row
from palate.formats.sides import check_completions, ordered_pair

LOST_PAIRS = "pairs of empty or equal answers"


class Answer(NamedTuple):
    """One answer, and how good it is."""

    text: str
    score: float
    """Higher is better; equal scores are a tie."""
    writer: str = ""
    """The model that wrote it, if the file says so."""


class Ranked(NamedTuple):
    """All pairs of some answers, and what could be no pair."""

    pairs: tuple[ImportedPair, ...]
    lost: frozenset[str]


def ranked(row: Row, prompt: Prompt, answers: Sequence[Answer], *, start: int = 0) -> Ranked:
    """A pair for every two answers that differ in their text.

    Args:
        row: Where they stand.
        prompt: What they answer.
        answers: In the order of the file.
        start: Number of the first pair within the row.
    """
    pairs: list[ImportedPair] = []
    lost: set[str] = set()
    for one, other in combinations(answers, 2):
        try:
            check_completions(one.text, other.text, ("one", "other"))
        except DataError:
            lost.add(LOST_PAIRS)
            continue
        better, worse = (one, other) if one.score >= other.score else (other, one)
        pair = ordered_pair(
            row,
            prompt,
            (better.text, worse.text),
            tie=one.score == other.score,
            writers=(better.writer, worse.writer),
            part=start + len(pairs),
        )
        pairs.append(pair)
    return Ranked(tuple(pairs), frozenset(lost))
