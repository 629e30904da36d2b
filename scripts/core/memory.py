"""Memory of PPO with policy, reference, reward model and critic on one base, against four whole models.

| name | what it is |
|---|---|
| `memory/lora_share` | peak of a run with adapters over that of a full run, both less what the imports took |
| `memory/lora_mib`, `memory/full_mib` | those peaks, in MiB |
| `memory/parameters` | parameters of the model: a Llama from a config, with a vocabulary of 32,000 |

Each side is a process of its own. The kernel's high-water mark of resident memory is set back after the imports
and read when the artefact is written. Rows have 256 tokens, 64 of them the prompt's, 4 rows to a micro-batch, float32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

PROMPT_TOKENS: Final = 64
NEW_TOKENS: Final = 192
VOCABULARY: Final = 32_000
SIDES: Final = ("full", "lora")


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; a seed is another model, and the same memory but for a few MiB."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as root:
        for part in ("models", *SIDES):
            command = [sys.executable, __file__, "--part", part, "--root", root, "--seed", str(seed)]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode:
                raise RuntimeError(told.stderr)
            found[part] = float(told.stdout.splitlines()[-1])
            print(f"memory {part}: {found[part]:,.0f}", file=sys.stderr, flush=True)
    values = {
        "memory/lora_share": found["lora"] / found["full"],
        "memory/lora_mib": found["lora"],
        "memory/full_mib": found["full"],
        "memory/parameters": found["models"],
    }
    return [{"name": k, "value": v, "low": None, "high": None, "n": 1, "seeds": 1} for k, v in values.items()]


def make_models(root: Path, seed: int) -> float:
    """The model, and two reward models on it: a whole one and an adapter. Returns the number of parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from palate.core.artefacts import identify
    from palate.models import load, tiny
    from palate.models.adapters import Hat, Lora, SharedBase

    torch.manual_seed(seed)
    tokenizer = tiny.train_tokenizer(["a word or two"], vocab_size=300)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=512, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    parameters = sum(weight.numel() for weight in model.parameters())
    base, whole, hat = (root / name for name in ("base", "full", "lora"))
    for folder in (base, whole, hat):
        folder.mkdir()
    load.save(base, model, tokenizer)
    load.save(whole, load.load_scalar(base), tokenizer)
    shared = SharedBase(model, identify(base), base)
    shared.add("reward", Lora(), seed=seed)
    shared.save(Hat(shared, "reward", torch.nn.Linear(768, 1, bias=False)), hat)
    tokenizer.save_pretrained(str(hat))
    return float(parameters)


def run_side(root: Path, side: str, seed: int) -> float:
    """One PPO run. Returns the peak, less what the imports took, in MiB."""
    from palate.core.artefacts import Workspace
    from palate.core.records import Prompt
    from palate.training import ppo
    from palate.training.run import RunOptions

    settings: dict[str, Any] = {"tuning": side, "iterations": 1, "rollouts": 8, "batch_size": 4, "micro_batch": 4}
    config = ppo.PPOConfig(max_new_tokens=NEW_TOKENS, learning_rate=1e-6, missing_eos="score", seed=seed, **settings)
    prompts = [Prompt.of("a" * (PROMPT_TOKENS - 2)) for _ in range(8)]
    options = RunOptions(device="cpu", checkpoint_every_s=1e9)
    Path("/proc/self/clear_refs").write_text("5")  # set the high-water mark back
    before = _status("VmRSS")
    ppo.train(config, root / "base", root / side, prompts, Workspace(root / f"run-{side}"), options=options)
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """A line of the kernel's account of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def main() -> None:
    """Print the rows, one a line; or, in a process of its own, do one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("models", *SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.part == "models":
        print(make_models(told.root, told.seed))
    elif told.part:
        print(run_side(told.root, told.part, told.seed))
    else:
        for row in figures(told.seed):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
