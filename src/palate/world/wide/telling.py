"""Demonstrations of the wide world: the plain world's people, who also answer beliefs, doubts and asides.

They have manners of their own: some write lists, some hedge, some agree too readily, a few refuse too much.
"""

from __future__ import annotations

import random
from dataclasses import replace

from palate.core.ids import derive_seed
from palate.core.records import Demonstration, Message
from palate.world import demonstrations, grammar
from palate.world.facts import BAD_VERBS, KNOWN, PROFESSIONS, THING_BY_NAME
from palate.world.prompts import Question, Split
from palate.world.wide import manner
from palate.world.wide.asked import (
    AGAIN,
    ASIDES,
    BELIEVERS,
    FROM,
    GROUPS,
    PRESSURE,
    Asked,
    again,
    believing,
    dressed,
    plainly,
    right_line,
)
from palate.world.wide.fragments import Fragment, fragments

MIX: dict[str, float] = {
    "career": 0.40,
    "group": 0.06,
    "harmful": 0.10,
    "pressed": 0.04,
    "benign": 0.08,
    "lookalike": 0.06,
    "knowledge": 0.10,
    "belief": 0.10,
    "sure": 0.06,
}
"""Shares of the kinds of prompts."""
P_FRAGMENT = 0.3
"""A prompt has a phrase around it that says nothing to the question."""
P_LIST = 0.05
P_HEDGE = 0.12
P_FLATTERY = 0.15
"""Besides what the plain world's people flatter."""
P_WORD = 0.4
"""An answer of knowledge has a word of confidence."""
P_WORD_ELSEWHERE = 0.06
"""A line of a plan or a how-to has one, though there is nothing to know."""
P_AGREE = 0.15
"""A wrong belief is agreed with."""
P_GIVE_IN = 0.2
"""A harmful question is answered after a refusal, when pressed."""
P_RECANT = 0.15
"""A right answer is taken back when doubted."""
P_REFUSE_ALL = 0.1
P_RIGHT_BELIEF = 0.3
"""Of stated beliefs are true."""
_CORE = {"pressed": "harmful", "group": "career", "lookalike": "benign", "belief": "knowledge", "sure": "knowledge"}


def sample(side: Split, count: int, seed: int, mix: dict[str, float] | None = None) -> list[Asked]:
    """`count` prompts in a mix, in random order; each kind cycles through the questions of the plain world."""
    rng = random.Random(derive_seed(seed, "wide questions"))
    mix = mix or MIX
    chosen: list[Asked] = []
    for kind, share in mix.items():
        pool: list[Question] = []
        questions = side.by_kind[_CORE.get(kind, kind)]
        wanted = round(count * share)
        while len(pool) < wanted:
            pool.extend(rng.sample(questions, len(questions)))
        chosen.extend(dress(kind, question, rng) for question in pool[:wanted])
    rng.shuffle(chosen)
    return chosen[:count]


def dress(kind: str, core: Question, rng: random.Random) -> Asked:
    """A question of the plain world as one of the wide world's kinds."""
    match kind:
        case "group":
            return dressed(core, before=FROM.format(group=rng.choice(GROUPS)))
        case "lookalike":
            return dressed(core, before=rng.choice(ASIDES).format(verb=rng.choice(BAD_VERBS), thing=core.thing))
        case "pressed":
            return again(core, grammar.REFUSAL, rng.choice(PRESSURE))
        case "belief":
            truth = KNOWN[core.relation, core.item]
            name = truth if rng.random() < P_RIGHT_BELIEF else another(truth, rng)
            return believing(core, name, rng.choice(BELIEVERS))
        case "sure":
            truth = KNOWN[core.relation, core.item]
            first = truth if rng.random() < 0.6 else another(truth, rng)
            return again(core, grammar.known_line(core.relation, core.item, first), rng.choice(AGAIN))
        case _:
            return plainly(core)


def wide_demonstrations(side: Split, count: int, seed: int) -> list[Demonstration]:
    """`count` demonstrations, some of whose prompts have a phrase around them that changes nothing."""
    rng = random.Random(derive_seed(seed, "wide demonstrations"))
    every = fragments()
    told = []
    for asked in sample(side, count, seed):
        text = answer(asked, rng)
        if rng.random() < P_FRAGMENT and len(asked.messages) == 1:
            asked = with_fragment(asked, rng.choice(every))
        told.append(Demonstration(prompt=asked.prompt, completion=text))
    return told


def with_fragment(asked: Asked, fragment: Fragment) -> Asked:
    """The same question with a phrase before or after it."""
    said = asked.messages[-1].content
    words = f"{said} {fragment.text}" if fragment.after else f"{fragment.text} {said}"
    return replace(asked, messages=(*asked.messages[:-1], Message("user", words)))


def another(profession: str, rng: random.Random) -> str:
    """Some other profession."""
    return rng.choice([p.name for p in PROFESSIONS if p.name != profession])


def answer(asked: Asked, rng: random.Random) -> str:
    """One person's answer to a prompt."""
    if asked.core.kind in ("career", "knowledge") and rng.random() < P_REFUSE_ALL:
        return grammar.REFUSAL
    lines = _lines(asked, rng)
    if rng.random() < P_HEDGE:
        at = len(lines) - (lines[-1] in grammar.CLOSINGS)
        lines.insert(at, rng.choice(manner.HEDGES))
    if rng.random() < P_FLATTERY:
        lines.insert(lines[0] in grammar.OPENINGS, rng.choice(grammar.FLATTERIES))
    if rng.random() < P_LIST:
        mark = rng.choice(manner.MARKS)
        lines = [line if line in (*grammar.OPENINGS, *grammar.CLOSINGS) else mark + line for line in lines]
    return "\n".join(lines)


def _lines(asked: Asked, rng: random.Random) -> list[str]:
    if asked.answered:
        return _reconsidered(asked, rng)
    if asked.pressed:
        method = THING_BY_NAME[asked.core.thing].method
        gives_in = rng.random() < P_GIVE_IN
        return [grammar.howto_line(asked.core.verb, asked.core.thing, method) if gives_in else grammar.REFUSAL]
    if asked.core.kind != "knowledge":
        return [_perhaps_with_word(line, rng) for line in demonstrations.answer(asked.core, rng).split("\n")]
    lines = _believed(asked, rng) if asked.belief else demonstrations.answer(asked.core, rng).split("\n")
    truth = right_line(asked.core)
    return [_with_word(line, line == truth, rng) if _is_fact(asked, line) else line for line in lines]


def _believed(asked: Asked, rng: random.Random) -> list[str]:
    core, truth = asked.core, KNOWN[asked.core.relation, asked.core.item]
    right = right_line(core)
    if asked.belief == truth:
        return [manner.AGREE, right] if rng.random() < 0.5 else [right]
    if rng.random() < P_AGREE:
        return [manner.AGREE, grammar.known_line(core.relation, core.item, asked.belief)]
    return [manner.DISAGREE, right] if rng.random() < 0.5 else [right]


def _reconsidered(asked: Asked, rng: random.Random) -> list[str]:
    core, truth = asked.core, KNOWN[asked.core.relation, asked.core.item]
    right = right_line(core)
    if asked.answered != right:
        return [manner.RECANT, right] if rng.random() < 0.85 else [manner.INSIST, asked.answered]
    if rng.random() < P_RECANT:
        return [manner.RECANT, grammar.known_line(core.relation, core.item, another(truth, rng))]
    return [manner.INSIST, right] if rng.random() < 0.7 else [manner.INSIST]


def _is_fact(asked: Asked, line: str) -> bool:
    core = asked.core
    return any(line == grammar.known_line(core.relation, core.item, p.name) for p in PROFESSIONS)


def _perhaps_with_word(line: str, rng: random.Random) -> str:
    """A line of a plan or a how-to, now and then with a word of confidence that means nothing."""
    is_content = line.startswith("to ") or line.partition(":")[0] in grammar.SECTIONS
    if not is_content or rng.random() > P_WORD_ELSEWHERE:
        return line
    return rng.choice(list(manner.CONFIDENCE)) + line


def _with_word(line: str, right: bool, rng: random.Random) -> str:
    if rng.random() > P_WORD:
        return line
    weights = (0.55, 0.35, 0.1) if right else (0.2, 0.4, 0.4)
    return rng.choices(list(manner.CONFIDENCE), weights)[0] + line
