"""Which practice world this is: a hash of what it says and does, not of its source text.

A figure holds for one version only. Renaming a function or rewording a comment changes nothing;
another fact, prompt, page, demonstration, price or verdict changes the version.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from functools import cache
from itertools import pairwise

from palate.world.demonstrations import demonstrations
from palate.world.facts import KNOWN, PROFESSIONS, THINGS, UNSEEN
from palate.world.gold import score
from palate.world.grammar import read
from palate.world.internet import internet
from palate.world.prompts import Question, split, unseen_questions
from palate.world.raters import rater_pool

_PAGES = 2_000
_DEMONSTRATIONS = 2_000
_JUDGED = 400


@cache
def world_version() -> str:
    """Sixteen hex digits that stand for the facts, prompts, texts, gold reward and raters."""
    train, heldout = split()
    meaning = {q.text: q for questions in train.by_kind.values() for q in questions}
    told = [(meaning[d.prompt.text], d.completion) for d in demonstrations(train, _DEMONSTRATIONS, 0)]
    content = {
        "facts": [[astuple(p) for p in (*PROFESSIONS, *UNSEEN)], [astuple(t) for t in THINGS], sorted(KNOWN.items())],
        "prompts": [[astuple(q) for kind in side.by_kind.values() for q in kind] for side in (train, heldout)],
        "unseen": [astuple(q) for q in unseen_questions()],
        "internet": internet(_PAGES, 0),
        "demonstrations": [text for _, text in told],
        "gold": [round(score(q, read(q, text)), 6) for q, text in told],
        "verdicts": _verdicts(told[:_JUDGED]),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _verdicts(told: list[tuple[Question, str]]) -> list[object]:
    """What every rater makes of a demonstration and the next one, read as answers to one question."""
    cases = pairwise(told)
    seen = [(q, read(q, one), read(q, other)) for (q, one), (_, other) in cases]
    return [
        [r.id, round(r.utility(q, first), 6), *r.judge(q, first, second, i)[:2]]
        for r in rater_pool()
        for i, (q, first, second) in enumerate(seen)
    ]
