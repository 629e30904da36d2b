"""One real run in a process of its own: what the plan says, and what the kernel saw. Prints one line of JSON.

The kernel's high-water mark of resident memory is set back before anything is loaded, and read at the end; what the
process held until then (Python, torch, transformers) is taken off both.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from palate.core.artefacts import Workspace
from palate.core.progress import Silent
from palate.core.records import Demonstration, Preference, Prompt
from palate.models import load, tiny
from palate.models.room import resident_bytes
from palate.training import dpo, grpo, memory_check, ppo, sft
from palate.training.run import RunOptions

SHAPES = {
    "22M": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6},
    "80M": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 9, "num_attention_heads": 12},
}
VOCABULARY = {"22M": 32_000, "80M": 16_000}


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def make(root: Path, size: str) -> tuple[Path, Path]:
    """A Llama from a config, and a reward model on it."""
    torch.manual_seed(0)
    tokenizer = tiny.train_tokenizer(["a word or two"], vocab_size=300)
    config = LlamaConfig(
        vocab_size=VOCABULARY[size], max_position_embeddings=1024, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None, **SHAPES[size],
    )  # fmt: skip
    base, reward = root / "base", root / "reward"
    for folder in (base, reward):
        folder.mkdir(parents=True)
    load.save(base, LlamaForCausalLM(config), tokenizer)
    load.save(reward, load.load_scalar(base), tokenizer)
    return base, reward


def text(count: int, seed: int) -> str:
    """So many tokens: letters that are no word."""
    letters = torch.randint(0, 26, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
    return "".join(chr(ord("a") + letter) for letter in letters)


def run(root: Path, recipe: str, tuning: str, rows: int, tokens: int, heard: Heard, **more: Any) -> None:
    """Two steps of a recipe; half of each row is the prompt's."""
    base, reward = root / "base", root / "reward"
    prompts = [Prompt.of(text(tokens // 2, seed)) for seed in range(2 * rows)]
    options = RunOptions(device="cpu", checkpoint_every_s=1e9)
    how = {"progress": heard, "options": options}
    common = {"tuning": tuning, "micro_batch": rows, **more}
    space = Workspace(root / "run")
    if recipe == "sft":
        data = [Demonstration(prompt=prompt, completion=text(tokens // 2, 99 + i)) for i, prompt in enumerate(prompts)]
        sft.train(sft.SFTConfig(batch_size=2 * rows, epochs=2, **common), base, data, space, **how)
    elif recipe == "dpo":
        sides = [(text(tokens // 2, 99 + i), text(tokens // 2, 999 + i)) for i in range(len(prompts))]
        pairs = [preference(prompt, *both) for prompt, both in zip(prompts, sides, strict=True)]
        dpo.train(dpo.DPOConfig(batch_size=rows, epochs=2, **common), base, pairs, space, **how)
    else:
        sampling = {"rollouts": 2 * rows, "batch_size": 2 * rows, "iterations": 2, "max_new_tokens": tokens // 2}
        kind, module = {"ppo": (ppo.PPOConfig, ppo), "grpo": (grpo.GRPOConfig, grpo)}[recipe]
        config = kind(missing_eos="score", **sampling, **common)
        module.train(config, base, reward, prompts, space, **how)


def preference(prompt, chosen, rejected):
    """A pair that was decided."""
    return Preference(comparison=chosen[:12], prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=1.0, weight=1.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", choices=("make", "sft", "dpo", "ppo", "grpo"))
    parser.add_argument("tuning", choices=("full", "lora"))
    parser.add_argument("size", choices=SHAPES)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--root", type=Path, required=True)
    given = parser.parse_args()
    if given.recipe == "make":
        make(given.root, given.size)
        return
    planned = []
    real = memory_check.plan_of
    memory_check.plan_of = lambda *given: planned.append(real(*given)) or planned[-1]
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_bytes(Path("/proc/self/status").read_text())
    run(
        given.root,
        given.recipe,
        given.tuning,
        given.rows,
        given.tokens,
        heard := Heard(),
        gradient_checkpointing=bool(given.again),
    )
    peak = resident_bytes(Path("/proc/self/status").read_text(), "VmHWM") - before
    plan = planned[0]
    told = {
        "planned": plan.peak.total,
        "measured": peak,
        "ratio": plan.peak.total / peak,
        "phase": plan.peak.name,
        "phases": {phase.name: {part: size >> 20 for part, size in phase.parts.items()} for phase in plan.phases},
        "notes": heard.notes,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
