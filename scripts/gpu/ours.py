"""Palate's side: a real recipe on the GPU, in a process of its own.

run     python -m scripts.gpu.ours TASK.json FOLDER
says    `GPU {…}`: seconds of each step, useful operations, peak memory, the log-prob gap of sampler and trainer

What DPO asks the reference before its first step is spread over all steps, because TRL asks it in each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.gpu.clock import Clock, Done

from palate.core.artefacts import Workspace
from palate.core.records import Demonstration, Preference, Prompt
from palate.models import chat
from palate.models.load import load_tokenizer
from palate.training import dpo, grpo, ppo, sft
from palate.training.run import METRICS, RunOptions
from palate.world.bench.flops import useful
from palate.world.bench.palate_side import shape_of
from palate.world.bench.workload import written

REWARD = "palate.world.bench.even:share"


class Listener:
    """Hears a recipe's progress, and reads the clock whenever a step is over."""

    def __init__(self, clock: Clock, total: int, notes: list[str]) -> None:
        self.clock, self.total, self.notes = clock, total, notes
        self.before_s = 0.0
        self._first = 0.0

    def start(self, task: str, total: int) -> None:
        """The steps begin, or what is done before them."""
        if total == self.total:
            self.before_s = time.perf_counter() - self._first if self._first else 0.0
            self.clock.begin()
        else:
            self._first = time.perf_counter()

    def advance(self, done: int, facts: Mapping[str, float] | None = None) -> None:
        """A step is over."""
        self.clock.step()

    def note(self, sentence: str) -> None:
        """Such as the plan of memory."""
        self.notes.append(sentence)

    def finish(self, sentence: str = "") -> None:
        """Nobody waits for it."""


def run(task: Mapping[str, Any], folder: Path) -> None:
    """Train until all steps were timed."""
    scale, stage = task["scale"], task["stage"]
    steps = scale["steps"] + scale["warm_up"]
    clock, notes = Clock(task["device"], scale["steps"], scale["warm_up"]), list[str]()
    listener = Listener(clock, steps, notes)
    policy = Path(task["models"]) / "policy"
    options = RunOptions(device=task["device"], checkpoint_every_s=1e9)
    how: dict[str, Any] = {"progress": listener, "options": options}
    try:
        recipe(task, policy, Workspace(folder), how)
    except Done:
        spread = listener.before_s / steps if stage == "dpo" else 0.0
        clock.times = [seconds + spread for seconds in clock.times]
        clock.tell(**facts(task, policy, folder), notes=notes)
        return
    raise SystemExit("the recipe ended before all steps were timed")


def recipe(task: Mapping[str, Any], policy: Path, space: Workspace, how: Mapping[str, Any]) -> None:
    """The recipe of a stage; a bfloat16 sampler is held to the bound of bfloat16, as in any run."""
    scale, stage, batch = task["scale"], task["stage"], task["scale"]["batch"][task["stage"]]
    common = {"dtype": scale["dtype"], "micro_batch": scale["micro_batch"], "seed": task["seed"], "batch_size": batch}
    prompts = [Prompt.of(written(ids)) for ids in task["prompts"]]
    if stage == "sft":
        data = [
            Demonstration(prompt=p, completion=written(own[0])) for p, own in zip(prompts, task["sides"], strict=True)
        ]
        sft.train(sft.SFTConfig(epochs=1, learning_rate=1e-5, **common), policy, data, space, **how)
    elif stage == "dpo":
        pairs = [
            Preference(comparison=str(i), prompt=p, chosen=written(own[0]), rejected=written(own[1]), p_chosen=1.0)
            for i, (p, own) in enumerate(zip(prompts, task["sides"], strict=True))
        ]
        dpo.train(dpo.DPOConfig(epochs=1, **common), policy, pairs, space, **how)
    else:
        sampling = {
            "iterations": scale["steps"] + scale["warm_up"], "rollouts": batch, "missing_eos": "score",
            "max_new_tokens": scale["new_tokens"], **common,
        }  # fmt: skip
        if stage == "grpo":
            config = grpo.GRPOConfig(group_size=scale["group"], beta=0.0, **sampling)
            grpo.train(config, policy, REWARD, prompts, space, **how)
        else:
            ppo.train(ppo.PPOConfig(**sampling), policy, policy.with_name("reward"), prompts, space, **how)


def facts(task: Mapping[str, Any], policy: Path, folder: Path) -> dict[str, Any]:
    """Useful operations of a mean step, its tokens, and the gap of the first iteration."""
    scale, stage = task["scale"], task["stage"]
    tokenizer, steps = load_tokenizer(policy), scale["steps"] + scale["warm_up"]
    prompts = [len(chat.encode_prompt(tokenizer, Prompt.of(written(ids)))) for ids in task["prompts"]]
    sides = [[len(own) + 1 for own in row] for row in task["sides"]]
    if stage in ("grpo", "ppo"):
        each = scale["group"] if stage == "grpo" else 1
        sides = [[scale["new_tokens"]] * each for _ in prompts]
    rows = [(prompt, own) for prompt, row in zip(prompts, sides, strict=True) for own in row]
    more = {"reference": False} if stage == "grpo" else {}
    flops = useful(stage, shape_of(policy), [p for p, _ in rows], [c for _, c in rows], **more) / steps
    found = {"flops": flops, "tokens": sum(p + c for p, c in rows) / steps}
    for path in folder.glob(f"runs/*/{METRICS}"):
        first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        if "sampler/trainer_max_nats" in first:
            found["sampler_gap_nats"] = first["sampler/trainer_max_nats"]
    return found


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
