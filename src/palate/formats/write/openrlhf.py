"""OpenRLHF: messages in columns that its options name.

Source: `openrlhf/datasets/reward_dataset.py`, `sft_dataset.py` and `prompts_dataset.py` of
OpenRLHF/OpenRLHF: with a chat template applied, prompt and sides are lists of messages, and `datasource`
labels a prompt.
"""

from __future__ import annotations

from palate.core.records import Demonstration, Preference, Prompt
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, PROMPTS, Row, Target, said


def _preference(row: Preference) -> Row:
    return {"prompt": row.prompt.as_dicts(), "chosen": said(row.chosen), "rejected": said(row.rejected)}


def _demonstration(row: Demonstration) -> Row:
    return {"messages": [*row.prompt.as_dicts(), *said(row.completion)]}


def _prompt(prompt: Prompt, _number: int) -> Row:
    return {"prompt": prompt.as_dicts(), "datasource": prompt.kind or "default"}


TARGET = Target(
    name="openrlhf",
    suffixes=(".jsonl", ".json", ".parquet"),
    preference=_preference,
    demonstration=_demonstration,
    prompt=_prompt,
    use={
        PREFERENCES: "--data.prompt_key prompt --data.chosen_key chosen --data.rejected_key rejected, "
        "with --data.apply_chat_template",
        DEMONSTRATIONS: "--data.input_key messages, with --data.apply_chat_template",
        PROMPTS: "--data.input_key prompt, with --data.apply_chat_template",
    },
    keeps_kind_of=frozenset({PROMPTS}),
)
"""OpenRLHF."""
