"""What is to be sampled, and what came of it: what the two ways of sampling have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Request(NamedTuple):
    """What is to be sampled."""

    prompts: Sequence[Sequence[int]]
    """Token ids, at least one each; one completion for each."""
    uniforms: Callable[[int], np.ndarray]
    """All the randomness of a row: `max_new_tokens` numbers in [0, 1)."""
    ends: Collection[int]
    """Tokens that end a completion."""
    max_new_tokens: int
    temperature: float


@dataclass(slots=True)
class Row:
    """One completion as it grows."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
