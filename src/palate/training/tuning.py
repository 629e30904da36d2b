"""Who is trained, and what it is compared with: whole models, or hats on one shared base."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from palate.core.artefacts import identify
from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.models import adapters, load
from palate.models.adapters import Hat, SharedBase
from palate.models.checkpointing import Again, checkpoint_layers
from palate.models.tokenizers import with_pad_token
from palate.training.parallel_weights import birthplace, collected, refuse_sharding, sharded
from palate.training.settings import TuningConfig


class Learner(NamedTuple):
    """A policy to train, its tokenizer, and the base under it if that is shared."""

    policy: Any
    """A causal model, or a hat of one."""
    tokenizer: PreTrainedTokenizerBase
    base: SharedBase | None

    def save(self, folder: Path, config: TuningConfig) -> None:
        """Write the policy so that others can open it."""
        save(folder, self.policy, self.tokenizer, config)


def open_policy(
    config: TuningConfig, folder: Path | str, device: torch.device, *, start: Path | str | None = None
) -> Learner:
    """The policy of a run.

    Args:
        config: How it is tuned.
        folder: The model it begins with; with adapters also the base.
        device: Where it lives.
        start: Another policy to begin with; with adapters one on that base.
    """
    if config.tuning == "full":
        model, tokenizer = load.load_causal(start or folder, device=birthplace(device))
        lighten(config, model)
        return Learner(sharded(model, dtype=config.dtype), tokenizer, None)
    base, tokenizer = open_base(config, folder, device)
    if start is None:
        base.add("policy", config.lora, seed=derive_seed(config.seed, "adapter", "policy"))
    elif not adapters.is_adapter(start):
        raise ConfigError(
            "a policy to go on with is no adapter", found=str(start), hint="--tuning full, or name one with an adapter"
        )
    else:
        base.load("policy", Path(start))
    return Learner(Hat(base, "policy"), tokenizer, base)


def open_base(
    config: TuningConfig, folder: Path | str, device: torch.device
) -> tuple[SharedBase, PreTrainedTokenizerBase]:
    """The frozen base of a run with adapters."""
    refuse_sharding(f"--tuning {config.tuning}")
    model, tokenizer = load.load_causal(
        folder, dtype=config.torch_dtype, device=device, four_bit=config.tuning == "qlora"
    )
    base = SharedBase(model, identify(folder), Path(folder).resolve())
    lighten(config, model, base.as_now)
    return base, tokenizer


def lighten(config: TuningConfig, model: Any, again: Again | None = None) -> None:
    """Take `--gradient-checkpointing` to heart, before a model is parted."""
    if config.gradient_checkpointing:
        checkpoint_layers(model, again)


def open_reference(config: TuningConfig, folder: Path | str, learner: Learner, device: torch.device) -> Any:
    """The frozen reference: the shared base without a hat, or a model of its own."""
    if learner.base is not None:
        return Hat(learner.base, None)
    reference = load.load_causal(folder, dtype=config.torch_dtype, device=device).model
    return reference.requires_grad_(False)


def save(folder: Path, model: nn.Module, tokenizer: PreTrainedTokenizerBase, config: TuningConfig) -> None:
    """Write a model of transformers, or a hat: its adapter alone, or merged into its base."""
    if not isinstance(model, Hat):
        load.save(folder, model, tokenizer, collected(model))
        return
    model.shared.save(model, folder)
    tokenizer.save_pretrained(str(folder))
    if config.save == "merged":
        whole = (load.load_reward if model.score is not None else load.load_causal)(folder).model
        if model.score is not None:
            with_pad_token(whole, tokenizer)
        for path in list(folder.iterdir()):
            path.unlink()
        load.save(folder, whole, tokenizer)
