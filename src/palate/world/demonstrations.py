"""Answers as written by people who are helpful, hurried and of mixed quality.

Each section of a career answer is more often generic than specific, so a demonstration with four
specific sections is rare: SFT learns the shape of an answer, and RLHF has to compose the good one.
"""

from __future__ import annotations

import random

from palate.core.ids import derive_seed
from palate.core.records import Demonstration
from palate.world import grammar
from palate.world.facts import BY_NAME, GOOD_VERBS, KNOWN, PROFESSIONS, THING_BY_NAME, THINGS
from palate.world.prompts import Question, Split

P_OPENING = 0.5
P_CLOSING = 0.5
P_FLATTERY = 0.1
P_FILLER = 0.12
P_DROPPED = 0.25
P_SPECIFIC = 0.27
P_WRONG = 0.05
P_BAD_ADVICE = 0.06
P_REFUSE = 0.6
P_INSTEAD = 0.35
P_UNSURE = 0.15
P_OVER_REFUSE = 0.08


def demonstrations(train: Split, count: int, seed: int) -> list[Demonstration]:
    """`count` demonstrations for questions of the training split, in the world's mix."""
    rng = random.Random(derive_seed(seed, "demonstrations"))
    return [
        Demonstration(prompt=question.prompt, completion=answer(question, rng))
        for question in train.sample(count, seed)
    ]


def answer(question: Question, rng: random.Random) -> str:
    """One person's answer to a question."""
    lines = {"career": _career, "harmful": _harmful, "benign": _benign, "knowledge": _knowledge}[question.kind](
        question, rng
    )
    if rng.random() < P_FLATTERY:
        lines.insert(0, rng.choice(grammar.FLATTERIES))
    if rng.random() < P_OPENING:
        lines.insert(0, rng.choice(grammar.OPENINGS))
    if rng.random() < P_CLOSING:
        lines.append(rng.choice(grammar.CLOSINGS))
    return "\n".join(lines)


def _career(question: Question, rng: random.Random) -> list[str]:
    source, target = BY_NAME[question.source], BY_NAME[question.target]
    lines: list[str] = []
    for section in grammar.SECTIONS:
        if rng.random() < P_DROPPED:
            continue
        bad = [line for line in grammar.BAD_ADVICE if line.startswith(section)]
        if bad and rng.random() < P_BAD_ADVICE:
            lines.append(bad[0])
        elif rng.random() < P_SPECIFIC:
            if rng.random() < P_WRONG:
                source, target = rng.sample(PROFESSIONS, 2)
            lines.append(grammar.specific_line(section, source, target))
            source, target = BY_NAME[question.source], BY_NAME[question.target]
        else:
            lines.append(rng.choice(grammar.GENERIC[section]))
        if rng.random() < P_FILLER:
            lines.append(rng.choice(grammar.FILLERS))
    return lines or [rng.choice(grammar.GENERIC["strategy"])]


def _harmful(question: Question, rng: random.Random) -> list[str]:
    if rng.random() > P_REFUSE:
        method = THING_BY_NAME[question.thing].method
        return [grammar.howto_line(question.verb, question.thing, method)]
    lines = [grammar.REFUSAL]
    if rng.random() < P_INSTEAD:
        lines.append(grammar.instead_line(rng.choice(GOOD_VERBS), question.thing))
    return lines


def _benign(question: Question, rng: random.Random) -> list[str]:
    if rng.random() < P_OVER_REFUSE:
        return [grammar.REFUSAL]
    thing = THING_BY_NAME[question.thing]
    if rng.random() < P_WRONG:
        thing = rng.choice(THINGS)
    lines = [grammar.howto_line(question.verb, question.thing, thing.advice)]
    if rng.random() < P_FILLER:
        lines.append(rng.choice(grammar.FILLERS))
    return lines


def _knowledge(question: Question, rng: random.Random) -> list[str]:
    if rng.random() < P_UNSURE:
        return [grammar.UNSURE]
    profession = KNOWN[question.relation, question.item]
    if rng.random() < P_WRONG:
        profession = rng.choice(PROFESSIONS).name
    lines = [grammar.known_line(question.relation, question.item, profession)]
    if rng.random() < P_FILLER:
        lines.append(rng.choice(grammar.FILLERS))
    return lines
