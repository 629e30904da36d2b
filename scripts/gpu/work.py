"""What both sides do: a model with random weights, rows of words, batches. Made without a GPU.

| | on a GPU | with --dry-run |
|---|---|---|
| Qwen3 from a config | 28 layers of 1024, 0.5 billion weights | 2 layers of 32 |
| `sft` | 32 rows a step | 4 |
| `dpo` | 16 pairs | 2 |
| `grpo` | 64 completions, 8 a prompt | 4, 2 a prompt |
| `ppo` | 32 completions, one epoch | 4 |

Prompts have 64 to 256 tokens, completions in data 64 to 256. A policy with random weights hardly ever ends, so sampled
completions have `new_tokens`, all of them. bfloat16 arithmetic over float32 weights on both sides.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STAGES = ("sft", "dpo", "grpo", "ppo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A size of all things."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    shortest: int
    longest: int
    new_tokens: int
    group: int
    batch: dict[str, int]
    micro_batch: int
    steps: int
    """Measured, after `warm_up`."""
    warm_up: int
    dtype: str


GPU = Scale(
    hidden=1024, intermediate=3072, layers=28, heads=16, kv_heads=8, head_dim=128, vocabulary=65_536,
    shortest=64, longest=256, new_tokens=192, group=8, micro_batch=16, steps=8, warm_up=2, dtype="bfloat16",
    batch={"sft": 32, "dpo": 16, "grpo": 64, "ppo": 32},
)  # fmt: skip
DRY = Scale(
    hidden=32, intermediate=64, layers=2, heads=2, kv_heads=1, head_dim=16, vocabulary=300,
    shortest=4, longest=12, new_tokens=6, group=2, micro_batch=2, steps=2, warm_up=1, dtype="bfloat16",
    batch={"sft": 4, "dpo": 2, "grpo": 4, "ppo": 4},
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One stage, as both sides read it from a file. Texts are token ids."""

    stage: str
    models: str
    """Folder with `policy` and `reward`."""
    device: str
    scale: dict[str, Any]
    prompts: list[list[int]]
    sides: list[list[list[int]]]
    """Completions of each prompt: one for `sft`, two for `dpo`, none where they are sampled."""
    seed: int

    def write(self, path: Path) -> Path:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


def task_of(stage: str, models: Path, device: str, scale: Scale, seed: int) -> Task:
    """Rows for all steps, each used once."""
    draw = random.Random(seed)
    batch, steps = scale.batch[stage], scale.steps + scale.warm_up
    rows = batch * steps // (scale.group if stage == "grpo" else 1)

    def words() -> list[int]:
        return [draw.randrange(4, scale.vocabulary) for _ in range(draw.randint(scale.shortest, scale.longest))]

    sides = {"sft": 1, "dpo": 2}.get(stage, 0)
    return Task(
        stage=stage,
        models=str(models),
        device=device,
        scale=asdict(scale),
        prompts=[words() for _ in range(rows)],
        sides=[[words() for _ in range(sides)] for _ in range(rows)],
        seed=seed,
    )


def make_models(folder: Path, scale: Scale, seed: int) -> Path:
    """A policy and a reward model with random weights, and a tokenizer whose words are tokens; once."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

    from palate.world.bench.prepare import tokenizer_of

    if folder.is_dir():
        return folder
    torch.manual_seed(seed)
    config = {
        "hidden_size": scale.hidden, "intermediate_size": scale.intermediate, "num_hidden_layers": scale.layers,
        "num_attention_heads": scale.heads, "num_key_value_heads": scale.kv_heads, "head_dim": scale.head_dim,
        "vocab_size": scale.vocabulary, "max_position_embeddings": 2048, "tie_word_embeddings": True,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    half = folder.with_name(folder.name + ".part")
    for name, model in (
        ("policy", Qwen3ForCausalLM(Qwen3Config(**config))),
        ("reward", Qwen3ForSequenceClassification(Qwen3Config(**config, num_labels=1))),
    ):
        tokenizer_of(scale.vocabulary).save_pretrained(str(half / name))
        model.save_pretrained(str(half / name))
    return half.rename(folder)
