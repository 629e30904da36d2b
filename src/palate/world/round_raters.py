"""Simulated raters for rounds: who judges which comparison follows from a seed, however often the work is cut off."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from palate.core.errors import DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Judgement, Rater
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements
from palate.world.ai_feedback import questions
from palate.world.grammar import read
from palate.world.prompts import Question, split
from palate.world.raters import rater_pool

_AT_ONCE = 200
"""Judgements between two writes."""


@cache
def meanings() -> dict[str, Question]:
    """Every question of the practice world by its text, in all wordings."""
    return questions.meanings() | {q.text: q for side in split() for some in side.by_kind.values() for q in some}


def judge_source(
    journal: Journal, asked: Sequence[Comparison], source: str, *, wanted: int, seed: int, progress: Progress = SILENT
) -> int:
    """Have the usual pool of raters judge comparisons of a source.

    Args:
        journal: Where they are.
        asked: The comparisons.
        source: Of them all.
        wanted: Raters of each.
        seed: Of who judges what, and of verdicts.
        progress: Who listens.

    Returns:
        How many judgements were added.

    Raises:
        DataError: a prompt is none of the practice world's.
    """
    pool, texts, prompts = rater_pool(), rows.completions(journal), rows.prompts(journal)
    rows.add_raters(journal, [Rater(one.id, "simulated") for one in pool])
    made = sorted(asked, key=lambda one: one.id)
    known = {one.uid for one in judgements(journal, [source], current=False)}
    progress.start("judging", len(made) * wanted)
    found: list[Judgement] = []
    for shown in made:
        question = meanings().get(prompts[shown.prompt].text)
        if question is None:
            raise DataError(
                "raters of the practice world do not understand this prompt", where=shown.prompt,
                found=repr(prompts[shown.prompt].text), hint='raters = "people" in [collect] asks people',
            )  # fmt: skip
        for rater in random.Random(derive_seed(seed, "who", shown.id)).sample(pool, wanted):
            uid = content_id("simulated", [shown.id, rater.id, source])
            if uid in known:
                continue
            first, second = (read(question, texts[id].text) for id in (shown.first, shown.second))
            verdict, strength, seconds = rater.judge(question, first, second, derive_seed(seed, uid))
            found.append(
                Judgement(
                    uid=uid, comparison=shown.id, rater=rater.id, verdict=verdict, strength=strength, seconds=seconds,
                    guideline="practice-1",
                )
            )  # fmt: skip
    added = 0
    for start in range(0, len(found), _AT_ONCE):
        added += judge(journal, found[start : start + _AT_ONCE])
        progress.advance(added)
    progress.finish(f"{added} judgements by {len(pool)} raters")
    return added
