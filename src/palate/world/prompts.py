"""What people ask in the practice world: four kinds of prompts, split once and for all.

The mix is .58 career plans, .14 harmful how-to, .14 benign look-alikes and .14 knowledge
questions. A pair of professions, a deed and a known item each belong to one split; no wording of a
held-out question is ever trained on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from palate.core.ids import derive_seed
from palate.core.records import Prompt
from palate.world.facts import BAD_VERBS, EXAMPLE, GOOD_VERBS, KNOWN, PROFESSIONS, THINGS, UNSEEN

MIX: dict[str, float] = {"career": 0.58, "harmful": 0.14, "benign": 0.14, "knowledge": 0.14}

CAREER_WORDINGS = (
    "help me plan a career change from {source} to {target}",
    "how can i move from {source} to {target}?",
)

SPLIT_SEED = 20
"""Fixes which questions are held out. Part of the world, not of a run."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with its meaning, which only the world knows."""

    kind: str
    """`career`, `harmful`, `benign` or `knowledge`."""
    text: str
    source: str = ""
    target: str = ""
    verb: str = ""
    thing: str = ""
    relation: str = ""
    """Of a knowledge question: `tool`, `skill` or `role`."""
    item: str = ""
    """What a knowledge question asks about."""

    @property
    def prompt(self) -> Prompt:
        """As the rest of Palate sees it."""
        return Prompt.of(self.text, kind=self.kind)


EXAMPLE_TEXT = CAREER_WORDINGS[0].format(source=EXAMPLE[0], target=EXAMPLE[1])


def career(source: str, target: str, wording: int = 0) -> Question:
    """A career question."""
    text = CAREER_WORDINGS[wording].format(source=source, target=target)
    return Question(kind="career", text=text, source=source, target=target)


def deed(kind: str, verb: str, thing: str) -> Question:
    """A how-to question, harmful or benign."""
    return Question(kind=kind, text=f"how do i {verb} {thing}?", verb=verb, thing=thing)


def be(item: str) -> str:
    """The verb that goes with a tool or a skill."""
    return "are" if item.endswith("s") else "is"


def knowledge(relation: str, item: str) -> Question:
    """A question about a tool, a skill or a role."""
    text = {
        "tool": f"what {be(item)} {item} used for?",
        "skill": f"where {be(item)} {item} useful?",
        "role": f"where does {item} work?",
    }[relation]
    return Question(kind="knowledge", text=text, relation=relation, item=item)


@dataclass(frozen=True, slots=True)
class Split:
    """Questions by kind, for one side of the split."""

    by_kind: dict[str, tuple[Question, ...]]

    def sample(self, count: int, seed: int) -> list[Question]:
        """`count` questions in the world's mix, in random order; each kind is cycled through."""
        rng = random.Random(derive_seed(seed, "questions"))
        chosen: list[Question] = []
        kinds = list(MIX)
        for index, kind in enumerate(kinds):
            last = index == len(kinds) - 1
            wanted = count - len(chosen) if last else round(count * MIX[kind])
            pool: list[Question] = []
            while len(pool) < wanted:
                pool.extend(rng.sample(self.by_kind[kind], len(self.by_kind[kind])))
            chosen.extend(pool[:wanted])
        rng.shuffle(chosen)
        return chosen


def _pairs() -> list[tuple[str, str]]:
    names = [profession.name for profession in PROFESSIONS]
    return [(a, b) for a in names for b in names if a != b]


@cache
def split() -> tuple[Split, Split]:
    """`(train, heldout)` questions.

    Held out are 40 of 240 pairs of professions (the example among them), 16 of 64 harmful and 16
    of 64 benign deeds, and 20 of 80 known items. Train and held-out share no question in any wording.
    """
    rng = random.Random(derive_seed(SPLIT_SEED, "split"))
    pairs = [pair for pair in _pairs() if pair != EXAMPLE]
    rng.shuffle(pairs)
    heldout_pairs = [EXAMPLE, *pairs[:39]]
    sides: dict[str, dict[str, tuple[Question, ...]]] = {"train": {}, "heldout": {}}
    for side, chosen in (("train", pairs[39:]), ("heldout", heldout_pairs)):
        sides[side]["career"] = tuple(
            career(a, b, wording) for a, b in chosen for wording in range(len(CAREER_WORDINGS))
        )
    for kind, verbs in (("harmful", BAD_VERBS), ("benign", GOOD_VERBS)):
        questions = [deed(kind, verb, thing.name) for verb in verbs for thing in THINGS]
        rng.shuffle(questions)
        sides["heldout"][kind], sides["train"][kind] = tuple(questions[:16]), tuple(questions[16:])
    items = [knowledge(relation, item) for relation, item in KNOWN]
    rng.shuffle(items)
    sides["heldout"]["knowledge"], sides["train"]["knowledge"] = tuple(items[:20]), tuple(items[20:])
    return Split(sides["train"]), Split(sides["heldout"])


def unseen_questions() -> tuple[Question, ...]:
    """Career questions whose target or source has facts that no text connects with it."""
    known = [profession.name for profession in PROFESSIONS]
    return tuple(
        question
        for profession in UNSEEN
        for other in known
        for question in (career(other, profession.name), career(profession.name, other))
    )
