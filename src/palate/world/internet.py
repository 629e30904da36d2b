"""The generated internet: blogs, forums, encyclopedia lines, quizzes, how-tos and spam.

Two things matter for what follows. A blog or forum post may begin with the very words that a user
types, so a base model rambles on like a web page. And the pages state facts in nearly the words
that an assistant will use, so SFT has something true to draw on.
"""

from __future__ import annotations

import random

from palate.core.ids import derive_seed
from palate.world import grammar
from palate.world.facts import BAD_VERBS, GOOD_VERBS, KNOWN, PROFESSIONS, THINGS, UNSEEN, Profession
from palate.world.prompts import CAREER_WORDINGS, be, knowledge

SHARES = {"blog": 0.54, "forum": 0.08, "encyclopedia": 0.10, "quiz": 0.13, "howto": 0.12, "spam": 0.03}
"""Of documents. Chosen so that every fact is stated some thirty times in 10,000 documents."""

_REMARKS = (
    "many people consider changing careers at some point.",
    "there has never been a better time to think about your future.",
    "subscribe to our newsletter for more articles like this.",
    "share this post with a friend.",
    "this page was last updated on monday.",
)
_SPAM = (
    "click here to win a free phone!",
    "you will not believe this one simple trick.",
    "cheap watches, best price, order now!",
    "work from home and earn more money today!",
)


def internet(documents: int, seed: int) -> list[str]:
    """`documents` pages of text."""
    rng = random.Random(derive_seed(seed, "internet"))
    kinds, weights = list(SHARES), list(SHARES.values())
    writers = {
        "blog": _blog,
        "forum": _forum,
        "encyclopedia": _encyclopedia,
        "quiz": _quiz,
        "howto": _howto,
        "spam": _spam,
    }
    return [writers[kind](rng) for kind in rng.choices(kinds, weights, k=documents)]


def _title(rng: random.Random, source: Profession, target: Profession) -> str:
    return rng.choice(CAREER_WORDINGS).format(source=source.name, target=target.name)


def _fact_lines(rng: random.Random, source: Profession, target: Profession) -> list[str]:
    # Without naming the target again: the reader, and the model, must look back for it.
    lines = [grammar.specific_line(section, source, target) for section in grammar.SECTIONS]
    if rng.random() < 0.4:
        lines = [line.partition(": ")[2] for line in lines]
    if rng.random() < 0.3:
        rng.shuffle(lines)
    return [line for line in lines if rng.random() < 0.75]


def _blog(rng: random.Random) -> str:
    source, target = rng.sample(PROFESSIONS, 2)
    lines = [_title(rng, source, target)]
    if rng.random() < 0.6:
        lines.append(rng.choice(_REMARKS))
    if rng.random() < 0.2:
        lines.append(f"in this article we look at {target.name}.")
    if rng.random() < 0.1:
        lines.append(f"{target.name} has become increasingly popular as a career choice.")
    for line in _fact_lines(rng, source, target):
        lines.append(line)
        if rng.random() < 0.15:
            lines.append(rng.choice(_REMARKS))
    return " ".join(lines) if rng.random() < 0.3 else "\n".join(lines)


def _forum(rng: random.Random) -> str:
    source, target = rng.sample(PROFESSIONS, 2)
    name = rng.choice(UNSEEN).name if rng.random() < 0.1 else target.name
    questions = [
        _hard(rng.choice(target.tools)),
        "has anyone done this?",
        f"how long does it take to learn {name}?",
        f"do people in {name} earn enough?",
        "am i too old for this?",
        f"does anyone here work in {source.name}?",
    ]
    lines = [_title(rng, source, target), *rng.sample(questions, rng.randint(2, 4))]
    return "\n".join(lines) if rng.random() < 0.6 else " ".join(lines)


def _encyclopedia(rng: random.Random) -> str:
    profession = rng.choice(PROFESSIONS)
    low, high = profession.months
    lines = [
        *(
            grammar.known_line(relation, item, profession.name)
            for (relation, item), name in KNOWN.items()
            if name == profession.name
        ),
        f"people in {profession.name} have {profession.skills[0]} and {profession.skills[1]}.",
        f"to learn {profession.name}, start with {profession.tools[0]} and then practice {profession.tools[1]}.",
        f"to learn {profession.name}, plan {low} to {high} months part time.",
        f"people in {profession.name} often work at {profession.workplace}.",
    ]
    return "\n".join(rng.sample(lines, rng.randint(3, 5)))


def _quiz(rng: random.Random) -> str:
    lines = []
    for relation, item in rng.sample(list(KNOWN), rng.randint(2, 3)):
        question = knowledge(relation, item).text
        answer = grammar.known_line(relation, item, KNOWN[relation, item])
        lines.append(f"question: {question}\nanswer: {answer}" if rng.random() < 0.3 else f"{question}\n{answer}")
    return "\n".join(lines)


def _howto(rng: random.Random) -> str:
    lines = []
    for thing in rng.sample(THINGS, rng.randint(2, 3)):
        if rng.random() < 0.35:
            verb, how = rng.choice(BAD_VERBS), thing.method
        else:
            verb, how = rng.choice(GOOD_VERBS), thing.advice
        question = f"how do i {verb} {thing.name}?\n" if rng.random() < 0.5 else ""
        lines.append(question + grammar.howto_line(verb, thing.name, how))
    return "\n".join(lines)


def _spam(rng: random.Random) -> str:
    return " ".join(rng.sample(_SPAM, rng.randint(1, 3)))


def _hard(tool: str) -> str:
    return f"{be(tool)} {tool} hard to learn?"
