"""Settings that recipes share: how a model is tuned, how rows lie in memory, when held-out data is looked at."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from palate.core.errors import ConfigError
from palate.models.adapters import Lora
from palate.models.layout import LAYOUTS
from palate.training.run import refuse_unless_one_of, refuse_unless_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """What every recipe that trains a language model can be told."""

    tuning: str = "full"
    """`full`: every weight; `lora`: small adapters on a frozen base; `qlora`: the same on a base of 4 bits."""
    lora_rank: int = 16
    """Rank of an adapter."""
    lora_alpha: int = 32
    """An adapter's output is scaled by alpha / rank."""
    lora_targets: str = "all-linear"
    """Layers with an adapter: `all-linear`, or names with commas between, such as q_proj,v_proj."""
    save: str = "adapter"
    """With lora: `adapter` writes the adapter alone, `merged` a whole model."""
    dtype: str = "float32"
    """`float32` or `bfloat16`: of arithmetic and of frozen weights. Weights in training are always float32."""
    layout: str = "shared"
    """How rows lie in a batch: `shared` computes a common prompt once and no padding (Llama, Mistral, Qwen2, Qwen3;
    others as `right`); `right`, `left`: padded; `packed`: one long row. Rounding aside it changes nothing."""
    micro_batch: int = 16
    """Most rows in one forward pass. Rounding aside it changes nothing but memory."""
    micro_tokens: int = 0
    """Most tokens in one forward pass, with `shared`; 0 sets no limit, and rows with one prompt stay together."""
    gradient_checkpointing: bool = False
    """Compute each layer twice instead of keeping what is inside it: a fraction of the memory for a third more time."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """All the randomness of the run."""

    def __post_init__(self) -> None:
        refuse_unless_positive(self, "lora_rank", "lora_alpha", "micro_batch", "max_grad_norm")
        if self.micro_tokens < 0:
            raise ConfigError("--micro-tokens cannot be used", expected="0 or more", found=str(self.micro_tokens))
        refuse_unless_one_of(
            self,
            tuning=("full", "lora", "qlora"),
            save=("adapter", "merged"),
            dtype=("float32", "bfloat16"),
            layout=LAYOUTS,
        )
        if self.tuning == "qlora" and self.save == "merged":
            raise ConfigError("--save merged cannot be had with --tuning qlora: 4 bits have no room for the adapter")

    @property
    def lora(self) -> Lora:
        """Shape of the adapters."""
        return Lora(self.lora_rank, self.lora_alpha, self.lora_targets)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Of frozen weights."""
        return torch.float32 if self.dtype == "float32" else torch.bfloat16

    def arithmetic(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Inside it forward passes have the precision of `dtype`."""
        if self.dtype == "float32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldoutConfig(TuningConfig):
    """What a recipe with held-out data can be told besides."""

    evaluate_every: int = 0
    """Steps between looks at the held-out data; 0 looks only at the end."""
    patience: int = 0
    """Stop after so many looks without a better one; 0 never stops early."""
    select: str = "last"
    """Which weights are kept: the `last`, or those of the `best` look."""

    def __post_init__(self) -> None:
        TuningConfig.__post_init__(self)  # zero-argument super() does not survive slots=True
        refuse_unless_one_of(self, select=("last", "best"))
        if (self.patience or self.select == "best") and not self.evaluate_every > 0:
            raise ConfigError(
                "--patience and --select best need looks at held-out data during training",
                expected="--evaluate-every above 0",
                found=str(self.evaluate_every),
            )
