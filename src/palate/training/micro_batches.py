"""Micro-batches: rows of like length together, and rows with the same prompt too where that is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from palate.models.batch import by_length, by_prompt
from palate.training.settings import TuningConfig


def micro_batches(
    config: TuningConfig, prompts: Sequence[Sequence[int]], lengths: Sequence[int], *, rows: int, sides: int = 1
) -> list[list[int]]:
    """Which rows go through a model together; rounding aside it changes nothing.

    Args:
        config: The layout, and the most tokens of a part.
        prompts: Token ids, one a row.
        lengths: Tokens of prompt and completion; of the longest where a row has several.
        rows: Most rows of a part.
        sides: Completions of a row.
    """
    if config.layout != "shared":
        return by_length(lengths, rows=rows)
    return by_prompt(prompts, lengths, rows=rows, tokens=config.micro_tokens, sides=sides)
