"""Answers of letters as a dataset of texts: what raters of known care said of them, with gold at hand.

Answers and gold are those of `palate.world.exact.gaming` (a benign family: pairs, triples, style and length). Each
comparison has a prompt of its own, of letters that no answer has, and one judgement of one rater.

Shapes: `N` comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.records import Preference, Prompt
from palate.training import pretrain
from palate.training.pretrain import PretrainConfig
from palate.world.exact.answers import END, answers
from palate.world.exact.gaming import World, build

_LETTERS = "abcd"
_OTHERS = "efgh"


class Size(NamedTuple):
    """Of a base model."""

    read: int
    """Answers that it reads, …"""
    epochs: int
    """… so often."""
    width: int
    layers: int


SMALL: Final = Size(read=3000, epochs=3, width=32, layers=2)
LARGE: Final = Size(read=10_000, epochs=4, width=64, layers=3)


class Crowd(NamedTuple):
    """Who judges."""

    care: Sequence[float]
    """Of each rater: P(first) = σ(care · sharpness · difference in gold); 0 throws coins, below 0 is inverted."""
    sharpness: float | None = None
    """None takes the world's."""


class Labelled(NamedTuple):
    """Comparisons with what was said."""

    world: World
    train: list[Preference]
    held: list[Preference]
    rater_N: np.ndarray
    """Of each row of train."""
    gap_N: Float[Tensor, " N"]
    """Gold of what was called better less gold of the other, for each row of train."""
    read: list[str]
    """Answers that a base model may read."""


def labelled(
    seed: int, crowd: Crowd, *, count: int, held: int, sizes: Sequence[float] | None = None, read: int = SMALL.read
) -> Labelled:
    """Pairs that the reference draws, each judged once; the held-out ones by the same raters.

    Args:
        seed: Of the world, the pairs and the verdicts.
        crowd: Who judges.
        count: Comparisons to learn from.
        held: Held-out ones.
        sizes: How much each rater judges, relative to the others.
        read: Answers for a base model.
    """
    world = build("plain", seed)
    generator = torch.Generator().manual_seed(derive_seed(seed, "pairs"))
    rng = np.random.default_rng(derive_seed(seed, "raters"))
    total = count + held
    first_N, second_N = _pairs(world, total, generator)
    chance = np.array([1.0] * len(crowd.care) if sizes is None else sizes)
    rater_N = rng.choice(len(crowd.care), size=total, p=chance / chance.sum())
    care_N = torch.tensor(crowd.care, dtype=torch.float64)[torch.from_numpy(rater_N)]
    gap_N = world.gold_K[first_N] - world.gold_K[second_N]
    p_N = (care_N * (crowd.sharpness or world.sharpness) * gap_N).sigmoid()
    says_first_N = torch.rand(total, generator=generator, dtype=torch.float64) < p_N
    better_N = torch.where(says_first_N, first_N, second_N).tolist()
    worse_N = torch.where(says_first_N, second_N, first_N).tolist()
    rows = [
        Preference(comparison=f"c{n}", prompt=_prompt(n), chosen=text(a), rejected=text(b), p_chosen=1.0)
        for n, (a, b) in enumerate(zip(better_N, worse_N, strict=True))
    ]
    drawn = torch.multinomial(world.ref_logprobs_K.exp(), read, replacement=True, generator=generator)
    told_N = torch.where(says_first_N, gap_N, -gap_N)
    return Labelled(
        world, rows[:count], rows[count:], rater_N[:count], told_N[:count], [text(int(one)) for one in drawn]
    )


def base(found: Labelled, workspace: Workspace, seed: int, size: Size = SMALL) -> Path:
    """A small causal model that has read answers of the reference."""
    config = PretrainConfig(
        width=size.width, layers=size.layers, heads=2, context=48, tokenizer="words", vocab_size=300, batch_size=16,
        block_tokens=32, epochs=size.epochs, seed=seed,
    )  # fmt: skip
    prompts = [row.prompt.text for row in (*found.train, *found.held)]
    return pretrain.train(config, found.read, workspace, tokenizer_texts=prompts)


def text(number: int) -> str:
    """An answer as words of one letter."""
    return " ".join(_LETTERS[token] for token in answers().tokens_KT[number].tolist() if token != END)


def _pairs(world: World, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs of answers that differ and are not empty."""
    full_K = world.ref_logprobs_K.exp() * (answers().lengths_K > 0)
    first_N = torch.multinomial(full_K, count, replacement=True, generator=generator)
    second_N = torch.multinomial(full_K, count, replacement=True, generator=generator)
    while bool((same_N := first_N == second_N).any()):
        second_N[same_N] = torch.multinomial(full_K, int(same_N.sum()), replacement=True, generator=generator)
    return first_N, second_N


def _prompt(number: int) -> Prompt:
    return Prompt.of(" ".join(_OTHERS[int(digit)] for digit in np.base_repr(number, 4).zfill(6)))
