"""Supervised fine-tuning on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tests.parity import material, theirs
from tests.parity.measure import Outcome, step

from palate.core.records import Demonstration
from palate.models import load
from palate.models.chat import Row
from palate.training import sft
from palate.training.encoding import encode_demonstrations
from palate.training.tuning import open_policy

CASES = ("sft last", "sft all")


def ours(folder: Path, rows: Sequence[Row], **settings: Any) -> Outcome:
    """The recipe's own step, in parts of four rows."""
    config = sft.SFTConfig(micro_batch=4, **settings)
    learner = open_policy(config, folder, torch.device("cpu"))
    return step(learner.policy, lambda: sft._backward(learner, rows, config))


def encoded(
    folder: Path,
    given: Sequence[Demonstration],
    *,
    turns: str,
    limit: int = 128,
    template: str = material.TEMPLATE,
) -> list[Row]:
    """Rows as the recipe makes them."""
    tokenizer = load.load_tokenizer(folder)
    tokenizer.chat_template = template
    return encode_demonstrations(tokenizer, given, limit, turns=turns).rows


def trainer(
    folder: Path, given: Sequence[Demonstration], *, turns: str, template: str = material.TEMPLATE, **settings: Any
) -> Any:
    """TRL's: one completion a row, or everything that the assistant says."""
    model, tokenizer = load.load_causal(folder)
    tokenizer.chat_template = template
    if turns == "last":
        rows = [{"prompt": d.prompt.as_dicts(), "completion": material.spoken(d.completion)} for d in given]
    else:
        rows = [{"messages": [*d.prompt.as_dicts(), *material.spoken(d.completion)]} for d in given]
        settings["assistant_only_loss"] = True
    return theirs.trainer(
        "SFT", folder.parent / "trl", model, rows, {"max_length": 128} | settings, processing_class=tokenizer
    )


def rows_of(made: Any) -> list[Row]:
    """What TRL made of the conversations."""
    return [Row(list(row["input_ids"]), [label != -100 for label in row["labels"]]) for row in made.train_dataset]


def compare(folders: material.Folders, seed: int, case: str) -> tuple[Outcome, Outcome]:
    """Ours and theirs, after making sure that both see the same tokens and train the same ones."""
    given, turns = material.demonstrations(seed), case.removeprefix("sft ")
    rows, made = encoded(folders.policy, given, turns=turns), trainer(folders.policy, given, turns=turns)
    assert rows_of(made) == rows
    return ours(folders.policy, rows), step(made.model, lambda: made.compute_loss(made.model, theirs.batch(made)))
