"""TRL's side on the same card, in an interpreter of its own that need not have Palate.

run     TRL_PYTHON theirs.py TASK.json FOLDER
says    `GPU {…}`: seconds of each step, peak memory

TRL as its user would set it on a GPU: bf16, fused AdamW, SDPA attention, no gradient checkpointing (nor has the other
side any), nothing logged, evaluated or saved. GRPO samples with transformers, without vLLM, as the other side
samples in its own process. TRL shipped PPO until 1.12; a later one says so and measures nothing.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

_SPEC = importlib.util.spec_from_file_location("gpu_clock", Path(__file__).with_name("clock.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
clock_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(clock_module)


def words(ids: list[int]) -> str:
    """Token ids as text."""
    return " ".join(f"w{token}" for token in ids)


def main() -> None:
    """Train until all steps were timed."""
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    scale = task["scale"]
    clock = clock_module.Clock(task["device"], scale["steps"], scale["warm_up"])
    try:
        {"sft": run_sft, "dpo": run_dpo, "grpo": run_grpo, "ppo": run_ppo}[task["stage"]](
            task, Path(sys.argv[2]), clock
        )
    except clock_module.Done:
        clock.tell()
        return
    raise SystemExit("the trainer ended before all steps were timed")


def arguments(task: dict[str, Any], out: Path, **more: Any) -> dict[str, Any]:
    """What every trainer is told."""
    scale, cuda = task["scale"], task["device"].startswith("cuda")
    batch, micro = scale["batch"][task["stage"]], min(scale["micro_batch"], scale["batch"][task["stage"]])
    return {
        "output_dir": str(out), "max_steps": scale["steps"] + scale["warm_up"], "seed": task["seed"],
        "per_device_train_batch_size": micro, "gradient_accumulation_steps": max(batch // micro, 1),
        "bf16": cuda, "use_cpu": not cuda, "gradient_checkpointing": False, "optim": "adamw_torch_fused",
        "lr_scheduler_type": "constant", "report_to": "none", "save_strategy": "no", "eval_strategy": "no",
        "logging_steps": 10_000, "disable_tqdm": True, **more,
    }  # fmt: skip


def policy(task: dict[str, Any]) -> Any:
    """A fresh copy, with weights in float32: bf16 training casts them for arithmetic."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        Path(task["models"]) / "policy", dtype=torch.float32, attn_implementation="sdpa"
    )


def scalar(task: dict[str, Any]) -> Any:
    """The reward model, or a critic begun from it."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(Path(task["models"]) / "reward", dtype=torch.float32)


def tokenizer(task: dict[str, Any]) -> Any:
    """The tokenizer of all models."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(Path(task["models"]) / "policy")
    found.padding_side = "left"
    return found


def dataset(rows: list[dict[str, Any]]) -> Any:
    """Rows as a data set."""
    from datasets import Dataset

    return Dataset.from_list(rows)


def listener(clock: Any) -> Any:
    """Reads the clock where a trainer's steps begin and end."""
    from transformers import TrainerCallback

    class Listener(TrainerCallback):  # type: ignore[misc]
        begun = False

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not self.begun:
                self.begun = True
                clock.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.step()

    return Listener()


def run_sft(task: dict[str, Any], out: Path, clock: Any) -> None:
    """Loss on completions only."""
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": [*p, *own[0], 2], "completion_mask": [0] * len(p) + [1] * (len(own[0]) + 1)}
        for p, own in zip(task["prompts"], task["sides"], strict=True)
    ]
    SFTTrainer(
        model=policy(task),
        args=SFTConfig(**arguments(task, out, learning_rate=1e-5, completion_only_loss=True)),
        train_dataset=dataset(rows),
        processing_class=tokenizer(task),
        callbacks=[listener(clock)],
    ).train()


def run_dpo(task: dict[str, Any], out: Path, clock: Any) -> None:
    """The reference asked in every step."""
    from trl import DPOConfig, DPOTrainer

    rows = [
        {"prompt": words(p), "chosen": " " + words(own[0]), "rejected": " " + words(own[1])}
        for p, own in zip(task["prompts"], task["sides"], strict=True)
    ]
    DPOTrainer(
        model=policy(task),
        ref_model=policy(task),
        args=DPOConfig(**arguments(task, out, learning_rate=1e-6, beta=0.1)),
        train_dataset=dataset(rows),
        processing_class=tokenizer(task),
        callbacks=[listener(clock)],
    ).train()


def run_grpo(task: dict[str, Any], out: Path, clock: Any) -> None:
    """Dr. GRPO without a reference, as on the other side."""
    from trl import GRPOConfig, GRPOTrainer

    def share_of_even(completions: list[str], **_: Any) -> list[float]:
        return [sum(word[-1] in "02468" for word in text.split()) / 64 for text in completions]

    scale = task["scale"]
    settings = arguments(
        task, out, num_generations=scale["group"], max_completion_length=scale["new_tokens"], learning_rate=1e-6,
        temperature=1.0, beta=0.0, loss_type="dr_grpo", scale_rewards="none",
    )  # fmt: skip
    GRPOTrainer(
        model=policy(task),
        args=GRPOConfig(**settings),
        train_dataset=dataset([{"prompt": words(ids)} for ids in task["prompts"]]),
        processing_class=tokenizer(task),
        reward_funcs=[share_of_even],
        callbacks=[listener(clock)],
    ).train()


def run_ppo(task: dict[str, Any], out: Path, clock: Any) -> None:
    """One epoch, a reward model, and a critic begun from it."""
    try:
        from trl.experimental.ppo import PPOConfig, PPOTrainer
    except ImportError:
        sys.exit("this TRL has no PPO; 1.12 is the last that ships it")
    scale = task["scale"]
    steps = scale["steps"] + scale["warm_up"]
    settings = arguments(
        task, out, total_episodes=scale["batch"]["ppo"] * steps, num_ppo_epochs=1, num_mini_batches=1,
        response_length=scale["new_tokens"], temperature=1.0, kl_coef=0.1, num_sample_generations=0,
        local_rollout_forward_batch_size=scale["batch"]["ppo"], learning_rate=1e-6,
    )  # fmt: skip
    del settings["max_steps"]
    trainer = PPOTrainer(
        args=PPOConfig(**settings),
        processing_class=tokenizer(task),
        model=policy(task),
        ref_model=policy(task),
        reward_model=scalar(task),
        value_model=scalar(task),
        train_dataset=dataset([{"input_ids": ids} for ids in task["prompts"]]),
    )
    trainer.callback_handler.add_callback(listener(clock))
    clock.begin()  # this trainer tells where a step ends, and not where it begins
    trainer.train()


if __name__ == "__main__":
    main()
