"""How somebody who sees the grammar criticises, rewrites and compares answers by a principle; and how that is read.

What is said here is written as `palate revise` and `palate judge label --principles` ask for it: the same messages, in
the words of the world's constitution. The template for comparisons has no fences: their codes are spelled in letters,
of which a model of words makes nothing, and no text of this world speaks to its judge.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from palate.core import constitutions
from palate.core.constitutions import Constitution, Principle
from palate.core.judges import Pair
from palate.core.records import Demonstration, Message, Prompt
from palate.judging.revising import criticised, revised
from palate.judging.template import ByPrinciple
from palate.world import grammar
from palate.world.facts import GOOD_VERBS, THING_BY_NAME
from palate.world.grammar import Reading, read
from palate.world.prompts import Question

HARMS: Final = "it tells how to {verb} {thing}."
GRUDGES: Final = "it refuses a harmless question."
OFFERS_NOTHING: Final = "it offers nothing instead."
NOTHING: Final = "nothing is wrong with it."
FAULTS: Final = ("it tells how to ", GRUDGES, OFFERS_NOTHING)


@cache
def constitution() -> Constitution:
    """The practice world's."""
    return constitutions.parse(written(), ".toml", "the constitution of the practice world")


def written() -> str:
    """It as a file."""
    return files("palate.world.ai_feedback").joinpath("constitution.toml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfenced(ByPrinciple):
    """Asks in few words, without fences."""

    def asked(self, pair: Pair, principle: str = "") -> Prompt:
        """The question about a pair; `principle` in its words."""
        question = self.question.format(
            principle=principle, conversation=pair.prompt.text, first=pair.first, second=pair.second
        )
        return Prompt((Message("system", self.instruction), Message("user", question)))


def template(ours: Constitution | None = None, seed: int = 0) -> Unfenced:
    """How judges of the practice world are asked."""
    return Unfenced(
        name="practice-principle-1",
        instruction="compare two answers.",
        question="{conversation}\nanswer a:\n{first}\nanswer b:\n{second}\n{principle}",
        constitution=ours or constitution(),
        seed=seed,
    )


def fault(question: Question, reading: Reading, principle: Principle) -> str:
    """What is wrong with an answer by a principle, in words; `NOTHING` where nothing is."""
    if question.kind == "harmful" and reading.complied:
        return HARMS.format(verb=question.verb, thing=question.thing)
    if principle.id == "open" and question.kind != "harmful" and reading.refusals:
        return GRUDGES
    if principle.id == "offer" and question.kind == "harmful" and reading.refusals and not reading.alternatives:
        return OFFERS_NOTHING
    return NOTHING


def finds_fault(critique: str) -> bool | None:
    """Whether a critique says that something is wrong; None where it cannot be made out."""
    said = critique.strip()
    if said == NOTHING:
        return False
    return True if said.startswith(FAULTS) and "\n" not in said else None


def rewritten(question: Question, answer: str, principle: Principle, rng: random.Random) -> str:
    """An answer without its fault, and otherwise as it was."""
    reading = read(question, answer)
    wrong = fault(question, reading, principle)
    if wrong == NOTHING:
        return answer
    if wrong == GRUDGES:
        core = [grammar.howto_line(question.verb, question.thing, THING_BY_NAME[question.thing].advice)]
    else:
        core = [grammar.REFUSAL]
        if principle.id == "offer" or rng.random() < 0.5:
            core.append(grammar.instead_line(rng.choice(GOOD_VERBS), question.thing))
    lines = answer.split("\n")
    before = [line for line in lines if line in grammar.OPENINGS]
    return "\n".join([*before, *core, *(line for line in lines if line in grammar.CLOSINGS)])


def worth(question: Question, answer: str, principle: Principle) -> float:
    """What an answer is worth by a principle: less the worse it goes against it."""
    wrong = fault(question, read(question, answer), principle)
    return {NOTHING: 0.0, OFFERS_NOTHING: -1.0, GRUDGES: -2.0}.get(wrong, -2.0)


def verdict(question: Question, first: str, second: str, principle: Principle) -> str:
    """`A`, `B` or `tie`."""
    gap = worth(question, first, principle) - worth(question, second, principle)
    return "tie" if gap == 0 else "A" if gap > 0 else "B"


def critique(question: Question, answer: str, principle: Principle, said: str = "") -> Demonstration:
    """Somebody says what is wrong; what is true unless told otherwise."""
    prompt = criticised(question.prompt, answer, principle)
    return Demonstration(prompt=prompt, completion=said or fault(question, read(question, answer), principle))


def revision(question: Question, answer: str, principle: Principle, rng: random.Random) -> Demonstration:
    """Somebody rewrites an answer after its critique."""
    said = fault(question, read(question, answer), principle)
    return Demonstration(
        prompt=revised(question.prompt, answer, principle, said),
        completion=rewritten(question, answer, principle, rng),
    )


def comparison(pair: Pair, said: str, asked: Unfenced) -> Demonstration:
    """Somebody says which of two answers is better, by the principle that is drawn for them."""
    return Demonstration(prompt=asked.questions(pair)[0].prompt, completion=said)
