"""Demonstrations and pages of critique, revision and comparison, beside the usual ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.judges import Pair
from palate.core.records import Demonstration
from palate.judging.local_judge import VERDICTS
from palate.world import grammar
from palate.world.ai_feedback import talk
from palate.world.ai_feedback.questions import Sides, sides
from palate.world.demonstrations import answer
from palate.world.facts import GOOD_VERBS, THINGS
from palate.world.grammar import read
from palate.world.prompts import Question

MISTAKEN: Final = 0.05
"""Share of critiques and comparisons that are wrong; people err."""
HARMFUL: Final = 0.55
"""Share of critiques and revisions that are about harmful questions; the rest is about harmless ones that look like
them."""
COMPARED_HARMFUL: Final = 0.4
"""The same share of comparisons: that a refusal is better is learned sooner than when it is not."""
COMPLIES: Final = 0.4
"""Share of answers to harmful questions, where criticism is demonstrated, that do what is asked."""
GRUDGES: Final = 0.3
"""Share of answers to harmless questions there that refuse: who shows how to judge shows both faults."""
_ON_PAGES: Final = ("A", "B", "tie", "A", "B", "A", "B", "tie")
_TRIES: Final = 200
"""One in 24 pairs of answers to a harmless question has the verdict that is wanted."""
Say = Callable[[Question, random.Random], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much talk there is."""

    critiques: int = 300
    revisions: int = 400
    comparisons: int = 2_250
    pages: int = 2_400
    """Of the generated internet, on which people talk so without a chat's roles."""

    def __post_init__(self) -> None:
        if min(self.critiques, self.revisions, self.comparisons, self.pages) < 0:
            raise ConfigError("amounts of talk are out of range", expected="0 or more", found=str(self))


def usual(count: int, seed: int) -> list[Demonstration]:
    """Demonstrations as people write them, in the world's mix and in several wordings.

    Of harmful questions, people do what is asked in two of five; that is what there is to gain.
    """
    rng = random.Random(derive_seed(seed, "demonstrations"))
    asked = sides().plain.sample(count, seed)
    return [Demonstration(prompt=question.prompt, completion=answer(question, rng)) for question in asked]


def talks(amounts: Amounts, seed: int) -> list[Demonstration]:
    """Demonstrations of critique, revision and comparison, in this order."""
    rng, side = random.Random(derive_seed(seed, "talk")), sides()
    return [
        *(_critique(rng, side) for _ in range(amounts.critiques)),
        *(_revision(rng, side) for _ in range(amounts.revisions)),
        *(_comparison(rng, side, number) for number in range(amounts.comparisons)),
    ]


def pages(amounts: Amounts, seed: int) -> list[str]:
    """The same talk as it stands on web pages, a line a turn."""
    rng, side = random.Random(derive_seed(seed, "pages of talk")), sides()
    found = []
    for number in range(amounts.pages):
        told = _comparison(rng, side, number // 2, answer, _ON_PAGES) if number % 2 else _revision(rng, side, answer)
        turns = [m.content for m in told.prompt.messages if m.role != "system"]
        found.append("\n".join([*turns, told.completion]))
    return found


@cache
def vocabulary() -> list[str]:
    """Every word of this world, once, with the blank before it if there is one; seeds share it."""
    told = [*usual(4_000, 0), *talks(Amounts(critiques=600, revisions=600, comparisons=600), 0)]
    texts = [text for d in told for text in (*(m.content for m in d.prompt.messages), d.completion)]
    principles = talk.constitution().principles
    texts += [text for p in principles for text in (p.critique_request, p.revision_request, p.preference_request)]
    texts += [q.text for side in (sides().plain, sides().heldout) for some in side.by_kind.values() for q in some]
    texts += [grammar.instead_line(verb, thing.name) for verb in GOOD_VERBS for thing in THINGS]
    texts += [talk.HARMS, talk.GRUDGES, talk.OFFERS_NOTHING, talk.NOTHING, "tie"]
    return sorted({piece for text in texts for piece in re.findall(r" ?\w+| ?[^\s\w]+|\n", text)})


def _asked(rng: random.Random, side: Sides) -> Question:
    return rng.choice(side.shown[_kind(rng, HARMFUL)])


def _kind(rng: random.Random, harmful: float) -> str:
    return "harmful" if rng.random() < harmful else "benign"


def _said(question: Question, rng: random.Random) -> str:
    """An answer to be criticised or compared: as people give them, but with a fault more often."""
    harmful = question.kind == "harmful"
    faulty = rng.random() < (COMPLIES if harmful else GRUDGES)
    for _ in range(_TRIES):
        text = answer(question, rng)
        reading = read(question, text)
        if faulty == bool(reading.complied if harmful else reading.refusals):
            break
    return text


def _critique(rng: random.Random, side: Sides) -> Demonstration:
    question, principle = _asked(rng, side), rng.choice(talk.constitution().principles)
    said = _said(question, rng)
    if rng.random() < MISTAKEN:
        right = talk.critique(question, said, principle).completion
        wrong = talk.HARMS.format(verb=question.verb, thing=question.thing)
        return talk.critique(question, said, principle, wrong if right == talk.NOTHING else talk.NOTHING)
    return talk.critique(question, said, principle)


def _revision(rng: random.Random, side: Sides, say: Say = _said) -> Demonstration:
    question, principle = _asked(rng, side), rng.choice(talk.constitution().principles)
    return talk.revision(question, say(question, rng), principle, rng)


def _comparison(
    rng: random.Random, side: Sides, number: int, say: Say = _said, verdicts: Sequence[str] = VERDICTS
) -> Demonstration:
    """Two answers to a question, and the verdict whose turn it is by the principle that is drawn.

    What the question is about is drawn before: most principles say nothing of harmless requests, and of what was drawn
    until a verdict fits nearly all would be harmful, where the answer that refuses is better. A judge learns that it
    always is.
    """
    asked, wanted, some = talk.template(), verdicts[number % len(verdicts)], _kind(rng, COMPARED_HARMFUL)
    for _ in range(_TRIES):
        question = rng.choice(side.shown[some])
        pair = Pair(question.prompt, say(question, rng), say(question, rng))
        principle = talk.constitution().named(asked.questions(pair)[0].principle)
        if pair.first != pair.second and talk.verdict(question, pair.first, pair.second, principle) == wanted:
            break
    else:
        wanted = talk.verdict(question, pair.first, pair.second, principle)
    said = wanted
    if rng.random() < MISTAKEN:
        said = rng.choice([one for one in VERDICTS if one != wanted])
    return talk.comparison(pair, said, asked)
