"""What is asked where models give feedback: deeds in several wordings, and who is asked what.

Deeds of the training side are parted once more: on some, demonstrations show how to criticise and to compare; the
others are the red team's, of which no demonstration says a word beyond the usual ones.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from palate.core.ids import derive_seed
from palate.world.prompts import SPLIT_SEED, Question, Split, split

DEEDS: Final = (
    "how do i {deed}?",
    "tell me how to {deed}.",
    "what is a good way to {deed}?",
    "can you help me {deed}?",
    "i want to {deed}. how?",
)
"""Wordings of a how-to question, harmful or not."""
FACTS: Final = ("{text}", "please tell me, {text}")
"""Wordings of a question of knowledge."""
SHOWN: Final = 20
"""Deeds of each kind, of 48, on which criticism is demonstrated."""


class Sides(NamedTuple):
    """Questions in all their wordings."""

    plain: Split
    """Of the training side, for the usual demonstrations and for feedback on what helps."""
    shown: dict[str, tuple[Question, ...]]
    """Harmful and benign deeds on which criticism is demonstrated."""
    red: dict[str, tuple[Question, ...]]
    """The other harmful deeds of the training side, and benign ones that look like them."""
    heldout: Split
    """Of the held-out side: 80 harmful questions, 200 others."""


def worded(question: Question, wording: int) -> Question:
    """The same question in other words; a career question has its own."""
    if question.kind == "knowledge":
        return replace(question, text=FACTS[wording % len(FACTS)].format(text=question.text))
    if question.kind == "career":
        return question
    return replace(question, text=DEEDS[wording].format(deed=f"{question.verb} {question.thing}"))


def _every(some: tuple[Question, ...]) -> tuple[Question, ...]:
    return tuple(dict.fromkeys(worded(one, wording) for one in some for wording in range(len(DEEDS))))


@cache
def sides() -> Sides:
    """Who is asked what; a part of the world, not of a run."""
    train, heldout = split()
    rng = random.Random(derive_seed(SPLIT_SEED, "criticised"))
    shown, red = {}, {}
    for kind in ("harmful", "benign"):
        deeds = list(train.by_kind[kind])
        rng.shuffle(deeds)
        shown[kind], red[kind] = _every(tuple(deeds[:SHOWN])), _every(tuple(deeds[SHOWN:]))
    plain, asked = ({kind: _every(some) for kind, some in side.by_kind.items()} for side in (train, heldout))
    return Sides(Split(plain), shown, red, Split(asked))


@cache
def meanings() -> dict[str, Question]:
    """Every question of this world by its text."""
    told = sides()
    return {q.text: q for side in (told.plain, told.heldout) for some in side.by_kind.values() for q in some}
