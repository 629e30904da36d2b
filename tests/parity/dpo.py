"""DPO and its family on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tests.parity import material, theirs
from tests.parity.measure import Outcome, step
from torch import Tensor

from palate.models import load
from palate.training import dpo
from palate.training.pairs import Pair, encode
from palate.training.tuning import open_policy

BETA, FLIPS = 0.3, 0.2
NAMES = {
    "sigmoid": {"loss": "sigmoid"},
    "hinge": {"loss": "hinge"},
    "ipo": {"loss": "ipo"},
    "robust": {"loss": "sigmoid", "labels": "denoised", "flip_rate": FLIPS},
}
"""TRL's names, and what they are called here."""
CASES = tuple(f"dpo {name}" for name in NAMES)


def config_of(name: str) -> dpo.DPOConfig:
    """Settings for one of TRL's names; parts of four pairs."""
    return dpo.DPOConfig(beta=BETA, micro_batch=8, **NAMES[name])  # type: ignore[arg-type]


def ours(folders: material.Folders, rows: Sequence[Pair], config: dpo.DPOConfig) -> Outcome:
    """The recipe's own step, after the recipe's own pass of the reference."""
    reference, policy = (open_policy(config, path, torch.device("cpu")) for path in folders[:2])
    reference_N2 = dpo._summed(reference, rows, config)
    everyone = list(range(len(rows)))
    return step(policy.policy, lambda: dpo._backward(policy, rows, everyone, reference_N2, config)["loss"])


def ours_a_token(folders: material.Folders, rows: Sequence[Pair], config: dpo.DPOConfig) -> Outcome:
    """The recipe's own loss on means over tokens, where the recipe itself takes sums."""
    reference, policy = (open_policy(config, path, torch.device("cpu")) for path in folders[:2])
    reference_N2, ones_N = dpo._summed(reference, rows, config), torch.ones(len(rows))

    def loss() -> Tensor:
        policy_N2, tokens_N2 = dpo._sums(policy, rows, config)
        means = policy_N2 / tokens_N2, reference_N2 / tokens_N2
        return dpo.loss_of(config, *means, tokens_N2, ones_N, ones_N).loss

    return step(policy.policy, loss)


def trainer(folders: material.Folders, seed: int, name: str) -> Any:
    """TRL's, with the reference as a model of its own."""
    (policy, tokenizer), (reference, _) = load.load_causal(folders.policy), load.load_causal(folders.reference)
    rows = [
        {"prompt": p.prompt.as_dicts(), "chosen": material.spoken(p.chosen), "rejected": material.spoken(p.rejected)}
        for p in material.preferences(seed)
    ]
    settings: dict[str, Any] = {"loss_type": [name], "beta": BETA, "max_length": 128}
    if name == "robust":
        settings["label_smoothing"] = FLIPS
    more = {"ref_model": reference, "processing_class": tokenizer}
    return theirs.trainer("DPO", folders.policy.parent / "trl", policy, rows, settings, **more)


def encoded(folders: material.Folders, seed: int) -> list[Pair]:
    """Preferences as the recipe reads them."""
    return encode(load.load_tokenizer(folders.policy), material.preferences(seed), 128).rows


def compare(folders: material.Folders, seed: int, case: str) -> tuple[Outcome, Outcome]:
    """Ours and theirs; for `ipo` ours on means."""
    name = case.removeprefix("dpo ")
    rows, made = encoded(folders, seed), trainer(folders, seed, name)
    read = [
        tuple(list(row[part]) for part in ("prompt_ids", "chosen_ids", "rejected_ids")) for row in made.train_dataset
    ]
    assert read == [(pair.prompt, pair.chosen, pair.rejected) for pair in rows]
    side = ours_a_token if name == "ipo" else ours
    return (
        side(folders, rows, config_of(name)),
        step(made.model, lambda: made.compute_loss(made.model, theirs.batch(made))),
    )
