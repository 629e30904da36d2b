"""TRL: conversational rows with an explicit prompt, which its documentation recommends.

Source: `docs/source/dataset_formats.md` of huggingface/trl.
"""

from __future__ import annotations

from palate.core.records import Demonstration, Preference, Prompt
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, PROMPTS, Row, Target, said


def _preference(row: Preference) -> Row:
    return {"prompt": row.prompt.as_dicts(), "chosen": said(row.chosen), "rejected": said(row.rejected)}


def _demonstration(row: Demonstration) -> Row:
    return {"prompt": row.prompt.as_dicts(), "completion": said(row.completion)}


def _prompt(prompt: Prompt, _number: int) -> Row:
    return {"prompt": prompt.as_dicts()}


TARGET = Target(
    name="trl",
    suffixes=(".jsonl", ".jsonl.gz", ".json", ".parquet"),
    preference=_preference,
    demonstration=_demonstration,
    prompt=_prompt,
    use={
        PREFERENCES: "DPOTrainer and RewardTrainer take it as it is",
        DEMONSTRATIONS: "SFTTrainer takes it as it is",
        PROMPTS: "GRPOTrainer and RLOOTrainer take it as it is",
    },
)
"""Hugging Face TRL."""
