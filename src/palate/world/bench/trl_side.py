"""TRL's side: one trainer in a process of its own, stopped between blocks of steps.

run     TRL_PYTHON trl_side.py WORK.json MODELS FOLDER CORE
says    `BENCH {…}` after each block: see `meter`

It runs in an interpreter that has TRL (PPO: 1.12, the last release that ships it; else 1.16) and need not have
Palate, so it reads only `meter.py` beside it. TRL is tuned as its user would on a CPU: bf16 and gradient
checkpointing off, fused AdamW, nothing logged, evaluated or saved, no data workers, rows in micro-batches of 32.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


meter = _beside("meter")
MICRO = 32
END = 2
Block = dict[str, Any]


class Seen:
    """Tokens that a trainer was given or has sampled in a block."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.completions: list[int] = []

    def facts(self) -> Block:
        """Of the block, which is then forgotten."""
        found = {
            "sequences": len(self.lengths),
            "tokens": sum(self.lengths),
            "completion_tokens": sum(self.completions),
        }
        self.lengths, self.completions = [], []
        return found


def main() -> None:
    """Train until whoever steers says stop."""
    work = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    meter.alone_on(int(sys.argv[4]))
    seen = Seen()
    clock = meter.Meter(work["steps"], seen.facts)
    stage = work["stage"]
    run = {"sft_grouped": run_sft, "sft": run_sft, "reward": run_reward, "dpo": run_dpo, "ppo": run_ppo}
    try:
        run.get(stage, run_groups)(work, Path(sys.argv[2]), Path(sys.argv[3]), clock, seen)
    except meter.Stop:
        return
    raise SystemExit("the trainer ended before it was told to stop")


def arguments(work: Block, out: Path, **more: Any) -> Block:
    """What every trainer is told."""
    return {
        "output_dir": str(out),
        "max_steps": work["blocks"] * work["steps"],
        "seed": work["seed"] % 2**31,
        "bf16": False,
        "fp16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "optim": "adamw_torch_fused",
        "lr_scheduler_type": "constant",
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_steps": 10_000,
        "disable_tqdm": True,
        **more,
    }


def words(ids: list[int]) -> str:
    """Token ids as text."""
    return " ".join(f"w{token}" for token in ids)


def dataset(rows: list[Block]) -> Any:
    """Rows as a data set."""
    from datasets import Dataset

    return Dataset.from_list(rows)


def policy(models: Path) -> Any:
    """A fresh copy of the policy."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(models / "policy", dtype=torch.float32, attn_implementation="sdpa")


def scalar(models: Path) -> Any:
    """A fresh copy of the reward model."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(models / "reward", dtype=torch.float32)


def tokenizer(models: Path) -> Any:
    """The tokenizer of all models."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(models / "policy")
    found.padding_side = "left"
    return found


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


def train(trainer: Any, seen: Seen) -> None:
    """Train on data, counting what a batch holds."""
    compute_loss = trainer.compute_loss

    def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.lengths += inputs["attention_mask"].sum(1).tolist()
        if "labels" in inputs:
            seen.completions.append(int((inputs["labels"] != -100).sum()))
        elif "completion_mask" in inputs:
            seen.completions.append(int(inputs["completion_mask"].sum()))
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss = counted
    trainer.train()


def run_sft(work: Block, models: Path, out: Path, clock: Any, seen: Seen) -> None:
    """Padded batches in random order; grouped ones come grouped, and are taken in order."""
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": [*prompt, *own[0], END], "completion_mask": [0] * len(prompt) + [1] * (len(own[0]) + 1)}
        for prompt, own in zip(work["prompts"], work["completions"], strict=True)
    ]
    order = {"train_sampling_strategy": "sequential"} if work["stage"] == "sft_grouped" else {}
    settings = arguments(
        work, out, per_device_train_batch_size=work["batch"], learning_rate=1e-4, completion_only_loss=True, **order
    )
    train(
        SFTTrainer(
            model=policy(models),
            args=SFTConfig(**settings),
            train_dataset=dataset(rows),
            processing_class=tokenizer(models),
            callbacks=[listener(clock)],
        ),
        seen,
    )


def pairs(work: Block) -> Any:
    """Preferences as TRL wants them; it writes the end tokens itself."""
    return dataset(
        [
            {"prompt": words(prompt), "chosen": " " + words(own[0]), "rejected": " " + words(own[1])}
            for prompt, own in zip(work["prompts"], work["completions"], strict=True)
        ]
    )


def run_reward(work: Block, models: Path, out: Path, clock: Any, seen: Seen) -> None:
    """Bradley-Terry on pairs."""
    from trl import RewardConfig, RewardTrainer

    settings = arguments(work, out, per_device_train_batch_size=work["batch"], learning_rate=1e-4)
    train(
        RewardTrainer(
            model=scalar(models),
            args=RewardConfig(**settings),
            train_dataset=pairs(work),
            processing_class=tokenizer(models),
            callbacks=[listener(clock)],
        ),
        seen,
    )


def run_dpo(work: Block, models: Path, out: Path, clock: Any, seen: Seen) -> None:
    """DPO with the reference asked in every step."""
    from trl import DPOConfig, DPOTrainer

    settings = arguments(work, out, per_device_train_batch_size=work["batch"], learning_rate=1e-6, beta=0.1)
    train(
        DPOTrainer(
            model=policy(models),
            ref_model=policy(models),
            args=DPOConfig(**settings),
            train_dataset=pairs(work),
            processing_class=tokenizer(models),
            callbacks=[listener(clock)],
        ),
        seen,
    )


def run_groups(work: Block, models: Path, out: Path, clock: Any, seen: Seen) -> None:
    """GRPO without a reference, or RLOO with its own default price of KL."""
    import trl

    name = work["stage"].upper()
    trainer_of, settings_of = getattr(trl, f"{name}Trainer"), getattr(trl, f"{name}Config")
    objective = {"loss_type": "dr_grpo", "scale_rewards": "none", "beta": 0.0} if name == "GRPO" else {"beta": 0.05}

    def share_of_even(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        seen.completions += map(len, completion_ids)
        seen.lengths += [len(p.split()) + len(c) for p, c in zip(prompts, completion_ids, strict=True)]
        return [sum(token % 2 == 0 for token in ids) / 64 for ids in completion_ids]

    settings = arguments(
        work,
        out,
        per_device_train_batch_size=MICRO,
        gradient_accumulation_steps=work["batch"] // MICRO,
        num_generations=work["group"],
        max_completion_length=work["max_new_tokens"],
        learning_rate=1e-6,
        temperature=1.0,
        shuffle_dataset=False,
        **objective,
    )
    trainer = trainer_of(
        model=policy(models),
        args=settings_of(**settings),
        train_dataset=dataset([{"prompt": words(prompt)} for prompt in work["prompts"]]),
        processing_class=tokenizer(models),
        reward_funcs=[share_of_even],
        callbacks=[listener(clock)],
    )
    trainer._generate_single_turn = timed(trainer._generate_single_turn, clock, "rollout")
    trainer.accelerator.backward = timed(trainer.accelerator.backward, clock, "backward")
    trainer.train()


def run_ppo(work: Block, models: Path, out: Path, clock: Any, seen: Seen) -> None:
    """PPO with a reward model and a critic begun from it."""
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    generate = timed(ppo_trainer.batch_generation, clock, "rollout")

    def counted(model: Any, queries: Any, *args: Any) -> Any:
        found = generate(model, queries, *args)
        ended = found[0][:, queries.shape[1] :] == END
        whole = torch.full((len(ended),), ended.shape[1])
        completions = torch.where(ended.any(1), ended.int().argmax(1) + 1, whole)
        seen.completions += completions.tolist()
        seen.lengths += (completions + (queries != 0).sum(1)).tolist()
        return found

    ppo_trainer.batch_generation = counted
    settings = arguments(
        work,
        out,
        per_device_train_batch_size=MICRO,
        gradient_accumulation_steps=work["batch"] // MICRO,
        total_episodes=work["batch"] * work["blocks"] * work["steps"],
        num_ppo_epochs=4,
        num_mini_batches=1,
        response_length=work["max_new_tokens"],
        stop_token="eos",
        temperature=1.0,
        kl_coef=0.05,
        missing_eos_penalty=1.0,
        local_rollout_forward_batch_size=work["batch"],
        num_sample_generations=0,
        learning_rate=1e-6,
    )
    del settings["max_steps"]
    trainer = PPOTrainer(
        args=PPOConfig(**settings),
        processing_class=tokenizer(models),
        model=policy(models),
        ref_model=policy(models),
        reward_model=scalar(models),
        value_model=scalar(models),
        train_dataset=dataset([{"input_ids": prompt} for prompt in work["prompts"]]),
    )
    trainer.callback_handler.add_callback(listener(clock))  # given to the trainer itself, it would be replaced
    trainer.accelerator.backward = timed(trainer.accelerator.backward, clock, "backward")
    clock.begin()  # this trainer tells where a step ends, and not where it begins
    trainer.train()


def timed(function: Callable[..., Any], clock: Any, part: str) -> Callable[..., Any]:
    """The same function, with its CPU time put down to a part of the step."""

    def call(*args: Any, **kwargs: Any) -> Any:
        begun = meter.cpu_s()
        try:
            return function(*args, **kwargs)
        finally:
            clock.add(part, meter.cpu_s() - begun)

    return call


if __name__ == "__main__":
    main()
