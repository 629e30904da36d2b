"""`palate show plan`: what a run would hold in memory, phase by phase, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from palate.models.room import in_words, room_on
from palate.training.dpo import DPOConfig
from palate.training.grpo import GRPOConfig
from palate.training.kto import KTOConfig
from palate.training.memory_check import plan_of, way_out, work_of
from palate.training.memory_plan import PARTS
from palate.training.online_dpo import OnlineDPOConfig
from palate.training.ppo import PPOConfig
from palate.training.reward import RewardConfig
from palate.training.rloo import RLOOConfig
from palate.training.run import RunOptions
from palate.training.sft import SFTConfig

CONFIGS: dict[str, Any] = {
    "sft": SFTConfig,
    "reward": RewardConfig,
    "dpo": DPOConfig,
    "kto": KTOConfig,
    "ppo": PPOConfig,
    "rloo": RLOOConfig,
    "grpo": GRPOConfig,
    "online-dpo": OnlineDPOConfig,
}
_ROWS = 4096
"""As many rows as any step has."""


def plan(
    *,
    model: Path,
    recipe: Literal["sft", "reward", "dpo", "kto", "ppo", "rloo", "grpo", "online-dpo"] = "sft",
    reward: str = "",
    prompt_tokens: int = 256,
    completion_tokens: int = 256,
    tuning: Literal["full", "lora", "qlora"] = "full",
    dtype: Literal["float32", "bfloat16"] = "float32",
    layout: Literal["shared", "right", "left", "packed"] = "shared",
    micro_batch: int = 16,
    device: str = "auto",
) -> None:
    """Print what a run would hold in memory. Nothing is loaded, and nothing is written.

    Parameters
    ----------
    model
        Folder of the model that the run begins with.
    recipe
        Which run.
    reward
        Folder of a reward model, or `module:function`, for recipes that sample.
    prompt_tokens
        Of the longest prompt.
    completion_tokens
        Of the longest completion.
    tuning
        As for `palate train`.
    dtype
        As for `palate train`.
    layout
        As for `palate train`.
    micro_batch
        As for `palate train`.
    device
        Where it would run: `cpu`, `cuda`, `mps` or `auto`.
    """
    settings: dict[str, Any] = {"tuning": tuning, "dtype": dtype, "layout": layout, "micro_batch": micro_batch}
    kind = CONFIGS[recipe]
    sampling = hasattr(kind, "rollouts")
    settings |= {"max_new_tokens" if sampling else "max_tokens": completion_tokens + (0 if sampling else prompt_tokens)}
    config = kind(**settings)
    lengths = [(prompt_tokens, 0 if sampling else completion_tokens)] * _ROWS
    work = work_of(f"train {recipe}", config, model, lengths, reward)
    where = RunOptions(device=device).torch_device()
    found, room = plan_of(config, work, where), room_on(where)
    table = Table("", *(phase.name for phase in found.phases))
    for part in PARTS:
        sizes = [phase.parts[part] for phase in found.phases]
        if any(sizes):
            table.add_row(part, *(in_words(size) for size in sizes))
    table.add_section()
    table.add_row("all", *(in_words(phase.total) for phase in found.phases))
    console = Console()
    console.print(table)
    if room is None:
        return
    if found.peak.total <= room.whole:
        console.print(f"{in_words(room.whole)} are free on {where}: it fits")
    else:
        console.print(f"{in_words(room.whole)} are free on {where}: {way_out(config, work, where, room.whole)}")
