"""Let a policy answer, and let simulated raters judge, through the same queue as people."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from palate.core.artefacts import identify
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Completion, Judgement, Rater
from palate.models import chat, load, sampling
from palate.store import queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judge
from palate.world.grammar import Reading, read
from palate.world.prompts import Question
from palate.world.raters import rater_pool

_LEASED = 25


def sample_comparisons(
    journal: Journal,
    policy: Path,
    questions: Sequence[Question],
    *,
    completions: int,
    source: str,
    seed: int,
    max_new_tokens: int,
    progress: Progress = SILENT,
) -> int:
    """Sample completions of each question at temperature 1, and queue every pair that differs.

    Doing it again adds nothing. Completions that were cut off are not shown to raters.

    Returns:
        How many comparisons this source has.
    """
    model, tokenizer = load.load_causal(policy)
    name = identify(policy)
    prompts = [q.prompt for q in questions]
    encoded = [chat.encode_prompt(tokenizer, p) for p in prompts for _ in range(completions)]
    progress.start("sampling", len(encoded))
    sampled = sampling.sample(
        model,
        encoded,
        eos_id=tokenizer.eos_token_id,
        max_new_tokens=max_new_tokens,
        seed=derive_seed(seed, source),
        report=progress.advance,
    )
    progress.finish(f"{len(encoded)} completions of {len(prompts)} prompts")
    records, asked = [], Counter[str]()
    for index, row in enumerate(sampled):
        prompt = prompts[index // completions].id
        records.append(
            Completion(
                prompt=prompt,
                text=chat.decode(tokenizer, row.tokens),
                policy=name,
                temperature=1.0,
                sample=asked[prompt],
                finished=row.finished,
            )
        )
        asked[prompt] += 1
    rng = random.Random(derive_seed(seed, source, "sides"))
    pairs = []
    for start in range(0, len(records), completions):
        for one, other in combinations(records[start : start + completions], 2):
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            if one.text != other.text and one.finished and other.finished:
                pairs.append(Comparison(prompt=one.prompt, first=first.id, second=second.id, source=source))
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, records)
    rows.add_comparisons(journal, pairs)
    return len(rows.comparisons(journal, [source]))


def judge_all(
    journal: Journal,
    questions: Sequence[Question],
    *,
    source: str,
    raters: int,
    seed: int,
    progress: Progress = SILENT,
) -> int:
    """Simulated raters empty the queue of a source; each comparison gets `raters` judgements.

    A rater's verdict on a comparison is always the same, so work that was cut off goes on as if it
    had not been.

    Returns:
        How many judgements this call added.
    """
    meaning = {q.prompt.id: q for q in questions}
    pool = rater_pool()
    rows.add_raters(journal, [Rater(r.id, "simulated") for r in pool])
    for rater in pool:
        queue.release(journal, rater.id)
    total = raters * len(rows.comparisons(journal, [source]))
    progress.start("judging", total)
    rng = random.Random(derive_seed(seed, source, "turns"))
    readings: dict[tuple[str, str], Reading] = {}

    def reading(question: Question, text: str) -> Reading:
        key = (question.text, text)
        if key not in readings:
            readings[key] = read(question, text)
        return readings[key]

    added, resting = 0, set[str]()
    while len(resting) < len(pool):
        rater = rng.choice([r for r in pool if r.id not in resting])
        tasks = queue.take(journal, rater.id, _LEASED, judgements_wanted=raters, seed=seed, source=source)
        if not tasks:
            resting.add(rater.id)
            continue
        batch = []
        for task in tasks:
            question = meaning[task.prompt.id]
            uid = content_id("simulated", [task.comparison.id, rater.id, source])
            verdict, strength, seconds = rater.judge(
                question, reading(question, task.first), reading(question, task.second), derive_seed(seed, uid)
            )
            batch.append(
                Judgement(
                    uid=uid,
                    comparison=task.comparison.id,
                    rater=rater.id,
                    verdict=verdict,
                    strength=strength,
                    seconds=seconds,
                    guideline="practice-1",
                )
            )
        added += judge(journal, batch)
        progress.advance(added)
    progress.finish(f"{added} judgements by {len(pool)} raters")
    return added
