"""Reward models trained again without groups of judgements, beside what influence says of these groups."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from scripts.rounds.letters import Crowd, Labelled, base, labelled
from scripts.rounds.small_rewards import HELD, POOLED, WHOLE, out_of, scratch, view
from torch import Tensor
from torch.nn.functional import softplus

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.records import Preference
from palate.functional.calibration import fit_temperature
from palate.functional.influence import Rows, move_together
from palate.models import load, scoring
from palate.models.tokenizers import pad_id_of
from palate.rounds import effects
from palate.rounds.effects import Lens
from palate.training import reward
from palate.training.pairs import encode
from palate.training.reward import RewardConfig
from palate.training.reward_batch import sides_of

KINDS: Final = ("rater", "random", "letters")
REMOVED: Final = 21
"""Groups of each kind."""
SINGLE: Final = 30
PAIRS: Final = 40
"""Held-out pairs whose margins are looked at."""
PARTS: Final = 4
_CARE: Final = (1.0,) * 28 + (0.0,) * 8 + (-1.0,) * 4
_GONE: Final = 1e-9


class Group(NamedTuple):
    """Rows that are taken out together."""

    kind: str
    places: list[int]


class Removed(NamedTuple):
    """What was predicted of a group, and what came, without less with it."""

    kind: str
    predicted: float
    """Of the held-out loss."""
    actual: float
    margins: list[tuple[float, float]]
    """Of some held-out pairs: predicted, actual."""


def removed(seed: int, part: int) -> list[Removed]:
    """A quarter of the groups, of single judgements, and of groups for the model that is trained whole."""
    torch.set_num_threads(1)
    found = _crowd(seed)
    groups = _groups(found, seed)
    rng = np.random.default_rng(derive_seed(seed, "single"))
    groups += [Group("single", [int(place)]) for place in rng.choice(len(found.train), SINGLE, replace=False)]
    whole = [Group("fine_tuned", group.places) for group in groups[: 3 * REMOVED : 4]]
    out = []
    with scratch() as folder:
        workspace = Workspace(folder)
        begun = base(found, workspace, seed)
        for config, some in ((POOLED, groups[part::PARTS]), (WHOLE, whole[part::PARTS])):
            out += _trained_again(replace(config, seed=1), begun, found, some, workspace)
    return out


def _crowd(seed: int) -> Labelled:
    rng = np.random.default_rng(derive_seed(seed, "sizes"))
    sizes = rng.integers(10, 51, size=len(_CARE)).tolist()
    return labelled(seed, Crowd(_CARE), count=1200, held=HELD, sizes=sizes)


def _groups(found: Labelled, seed: int) -> list[Group]:
    """As many of each kind: what a rater said; any rows; rows whose chosen answer has some letters in a row."""
    rng = np.random.default_rng(derive_seed(seed, "groups"))
    raters = [np.flatnonzero(found.rater_N == rater).tolist() for rater in rng.permutation(len(_CARE))]
    texts = [row.chosen.replace(" ", "") for row in found.train]
    words = sorted({text[at : at + 3] for text in texts for at in range(len(text) - 2)})
    about = [[n for n, text in enumerate(texts) if word in text] for word in rng.permutation(words)]
    at_random = [rng.choice(len(texts), rng.integers(10, 51), replace=False).tolist() for _ in range(REMOVED)]
    kinds = zip(KINDS, (raters, at_random, about), strict=True)
    out = [[Group(kind, some) for some in every if 10 <= len(some) <= 50][:REMOVED] for kind, every in kinds]
    return [group for some in zip(*out, strict=False) for group in some]


def _trained_again(
    config: RewardConfig, begun: Path, found: Labelled, groups: Sequence[Group], workspace: Workspace
) -> list[Removed]:
    """What is predicted of each group, beside a reward model that is trained without it."""
    folder = reward.train(config, begun, found.train, workspace)
    lens = view(folder, found)
    pairs = range(0, HELD, HELD // PAIRS)
    before_H = _margins(folder, found.held)
    temperature = fit_temperature(before_H, torch.ones_like(before_H))
    out = []
    for group in groups:
        told = -effects.of_changes(lens, [out_of(group.places)]).loss_M
        moved_D = _step(lens, group.places)
        predicted_H = lens.outside.x_ND @ moved_D
        gone = set(group.places)
        rows = [replace(one, weight=_GONE) if n in gone else one for n, one in enumerate(found.train)]
        again = reward.train(config, begun, rows, workspace)
        after_H = _margins(again, found.held)
        shutil.rmtree(again)
        actual = float((softplus(-after_H / temperature) - softplus(-before_H / temperature)).mean())
        margins = [(float(predicted_H[pair]), float(after_H[pair] - before_H[pair])) for pair in pairs]
        out.append(Removed(group.kind if config.head == "pooled" else "fine_tuned", float(told), actual, margins))
    return out


def _step(lens: Lens, places: list[int]) -> Tensor:
    some = Rows(*(column[places] for column in lens.rows))
    return move_together(lens.head, some, some.p_N, torch.zeros_like(some.a_N))


def _margins(folder: Path, rows: Sequence[Preference]) -> Tensor:
    model, tokenizer = load.load_reward(folder)
    sides = sides_of(encode(tokenizer, rows, POOLED.max_tokens).rows)
    scores = scoring.scores(model, sides.prompts, sides.completions, pad_id=pad_id_of(tokenizer)).double()
    return scores[sides.place_N2[:, 0]] - scores[sides.place_N2[:, 1]]
