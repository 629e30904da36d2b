"""The reward model on both sides: plain, with a margin, with centring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tests.parity import material, theirs
from tests.parity.measure import Outcome, step
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from palate.core.ids import derive_seed
from palate.functional.reward_model import margin_loss
from palate.models import load
from palate.models.tokenizers import pad_id_of, with_pad_token
from palate.training import reward
from palate.training.pairs import Pair, encode
from palate.training.reward_batch import Loss, Step, backward

CASES = ("reward plain", "reward margin", "reward centring")
CENTRING = 0.3
"""Far above the usual 0.01, so that an error in it is seen."""


def make(folder: Path, seed: int, spread: float = 0.5) -> Path:
    """A scalar model, written as the recipe writes it. Its head is large: scores of 0 would hide everything."""
    model, tokenizer = load.load_scalar(folder), load.load_tokenizer(folder)
    with_pad_token(model, tokenizer)
    nn.init.normal_(model.score.weight, std=spread, generator=torch.Generator().manual_seed(derive_seed(seed, "head")))
    path = folder.parent / "scalar"
    path.mkdir(exist_ok=True)
    load.save(path, model, tokenizer)
    return path


def pairs(tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Pair]:
    """Preferences as tokens."""
    return encode(tokenizer, material.preferences(seed), 128).rows


def margins(comparisons: Iterable[str]) -> list[float]:
    """How far the chosen side of each should lead."""
    return [0.5 * (int(comparison) % 4) for comparison in comparisons]


def ours(folder: Path, rows: Sequence[Pair], *, centring: float = 0.0) -> Outcome:
    """The recipe's own step, in parts of two pairs."""
    config = reward.RewardConfig(micro_batch=8, centring=centring)
    return _step(folder, rows, config, partial(reward.loss_of, config))


def ours_with_margins(folder: Path, rows: Sequence[Pair]) -> Outcome:
    """The recipe's own step with `margin_loss` in it, for which the recipe has no setting."""
    rows = sorted(rows, key=lambda pair: pair.tokens)  # as the one part of the step will be
    required_N = torch.tensor(margins(pair.comparison for pair in rows))

    def loss(scores_N2: Tensor, p_chosen_N: Tensor, weights_N: Tensor, _: Tensor | None, weight: float) -> Tensor:
        margins_N = scores_N2[:, 0] - scores_N2[:, 1]
        return margin_loss(margins_N, p_chosen_N, required_N, weights_N, denominator=weight)

    return _step(folder, rows, reward.RewardConfig(micro_batch=4 * len(rows)), loss)


def _step(folder: Path, rows: Sequence[Pair], config: reward.RewardConfig, loss: Loss) -> Outcome:
    model, tokenizer = load.load_reward(folder)
    whole = Step(config, pad_id_of(tokenizer), loss)
    return step(model, lambda: backward(model, rows, whole)["loss"])


def trainer(folder: Path, seed: int, *, with_margins: bool, centring: float) -> Any:
    """TRL's, on the same folder, opened by transformers alone."""
    given = material.preferences(seed)
    rows: list[dict[str, Any]] = [
        {"prompt": p.prompt.as_dicts(), "chosen": material.spoken(p.chosen), "rejected": material.spoken(p.rejected)}
        for p in given
    ]
    if with_margins:
        required = margins(p.comparison for p in given)
        rows = [row | {"margin": margin} for row, margin in zip(rows, required, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    settings = {"max_length": 128, "center_rewards_coefficient": centring or None}
    tokenizer = load.load_tokenizer(folder)
    return theirs.trainer("Reward", folder.parent / "trl", model, rows, settings, processing_class=tokenizer)


def compare(folders: material.Folders, seed: int, case: str) -> tuple[Outcome, Outcome]:
    """Ours and theirs, after making sure that both see the same tokens."""
    which = case.removeprefix("reward ")
    folder = make(folders.policy, seed)
    rows = pairs(load.load_tokenizer(folder), seed)
    centring = CENTRING if which == "centring" else 0.0
    made = trainer(folder, seed, with_margins=which == "margin", centring=centring)
    read = [(list(row["chosen_ids"]), list(row["rejected_ids"])) for row in made.train_dataset]
    assert read == [(pair.prompt + pair.chosen, pair.prompt + pair.rejected) for pair in rows]
    here = ours_with_margins(folder, rows) if which == "margin" else ours(folder, rows, centring=centring)
    return here, step(made.model, lambda: made.compute_loss(made.model, theirs.batch(made)))
