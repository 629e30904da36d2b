"""Small reward models of labelled letters, and what influence sees of them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scripts.rounds.letters import SMALL, Labelled, Size, base

from palate.core.artefacts import Workspace
from palate.functional.influence import Rows
from palate.models import load
from palate.rounds import effects, influence
from palate.rounds.effects import Change, Lens
from palate.training import reward
from palate.training.reward import RewardConfig

HELD: Final = 400
POOLED: Final = RewardConfig(head="pooled", epochs=6, learning_rate=2e-3, batch_prompts=64, max_tokens=48)
WHOLE: Final = RewardConfig(epochs=3, learning_rate=1e-3, batch_prompts=64, max_tokens=48)


def lens_of(
    found: Labelled, workspace: Workspace, seed: int, *, epochs: int = POOLED.epochs, size: Size = SMALL
) -> Lens:
    """Train a reward model of these rows, and what influence sees of it."""
    config = replace(POOLED, seed=1, epochs=epochs)
    return view(reward.train(config, base(found, workspace, seed, size), found.train, workspace), found)


def view(folder: Path, found: Labelled) -> Lens:
    """The head of a reward model of these rows, fitted again; the answer asked about is the first held-out pair's."""
    model, tokenizer = load.load_reward(folder)
    x_ND, x_HD = (
        influence.features(model, tokenizer, rows, POOLED.max_tokens)[1] for rows in (found.train, found.held)
    )
    rows, outside = (Rows(x, torch.ones(len(x)), torch.ones(len(x))) for x in (x_ND, x_HD))
    return effects.look(rows, outside, x_HD[:1])


def out_of(places: list[int]) -> Change:
    """These rows taken out."""
    return Change(places, [1.0] * len(places), [0.0] * len(places))


def scratch() -> Any:
    """A folder for as long as it is needed."""
    return tempfile.TemporaryDirectory(prefix="influence-")


def correlation(one: Any, other: Any) -> float:
    """Pearson's."""
    return float(np.corrcoef(np.asarray(one), np.asarray(other))[0, 1])


def rank_correlation(one: Any, other: Any) -> float:
    """Spearman's; ties, which real numbers do not have, would be told apart by their order."""
    return correlation(*(np.argsort(np.argsort(np.asarray(x))) for x in (one, other)))
