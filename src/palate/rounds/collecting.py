"""Answers that people or models are to compare: policies are asked, and pairs of what they say are stored."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from palate.core.errors import ConfigError, DataError
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Completion, Prompt
from palate.core.subjects import Subject
from palate.store import rows
from palate.store.journal import Journal


class Writer(NamedTuple):
    """A policy that answers."""

    subject: Subject
    policy: str
    """Id of its weights."""


class Asked(NamedTuple):
    """Answers that are compared."""

    completions: int
    """To each prompt."""
    pairs: int
    """Comparisons of them, at most."""
    temperature: float
    """Of the answers, as they are recorded."""
    seed: int


def left_to_model(comparisons: Sequence[Comparison], share: float, seed: int) -> set[str]:
    """Ids of those that people are not asked about: each with this chance, and the same whenever it is asked."""
    return {one.id for one in comparisons if random.Random(derive_seed(seed, "to the model", one.id)).random() < share}


def compared(
    journal: Journal,
    writers: Sequence[Writer],
    prompts: Sequence[Prompt],
    asked: Asked,
    source: str,
    progress: Progress = SILENT,
) -> int:
    """Have policies answer each prompt several times, and store pairs of answers; a second call adds nothing.

    Answers that failed or were cut off, and pairs of the same words, are left out.

    Args:
        journal: Where they go.
        writers: Who answers, each equally often; with two, one's answers are compared with the other's too.
        prompts: What is asked, each once.
        asked: How often.
        source: Name of this collection.
        progress: Who listens.

    Returns:
        How many comparisons the source has.
    """
    if there := len(rows.comparisons(journal, [source])):
        return there
    each = asked.completions // len(writers)
    if not each:
        raise ConfigError(
            "not every policy would answer",
            expected=f"{len(writers)} completions or more",
            found=str(asked.completions),
        )
    every = [prompt for prompt in prompts for _ in range(each)]
    told = [
        one.subject.answer(
            every, seed=derive_seed(asked.seed, "compared", source, *[number] * (number > 0)), progress=progress
        )
        for number, one in enumerate(writers)
    ]
    rng = random.Random(derive_seed(asked.seed, "compared pairs", source))
    kept: list[Completion] = []
    found: list[Comparison] = []
    for number, prompt in enumerate(prompts):
        group = [
            Completion(
                prompt=prompt.id, text=one.text, policy=writer.policy, temperature=asked.temperature, sample=sample,
                finished=one.finished,
            )
            for writer, said in zip(writers, told, strict=True)
            for sample, one in enumerate(said[number * each : (number + 1) * each])
            if not one.error
        ]  # fmt: skip
        kept += group
        pairs = [
            pair for pair in combinations(group, 2)
            if pair[0].text != pair[1].text and all(one.finished and one.text.strip() for one in pair)
        ]  # fmt: skip
        for pair in rng.sample(pairs, min(asked.pairs, len(pairs))):
            first, second = rng.sample(pair, 2)
            found.append(Comparison(prompt=prompt.id, first=first.id, second=second.id, source=source))
    if not found:
        raise DataError(
            "no two answers could be compared",
            where=source,
            expected="two answers or more to a prompt, finished and not the same",
            found=f"{sum(map(len, told))} answers to {len(prompts)} prompts",
        )
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, kept)
    rows.add_comparisons(journal, found)
    return len(found)
