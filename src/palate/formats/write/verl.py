"""verl: Parquet, with five columns for RL, `messages` for SFT, and three texts for preferences.

Source: `docs/preparation/prepare_data.rst` and `examples/data_preprocess/full_hh_rlhf.py` of
verl-project/verl (RL with a reward model has the style `model`, and its ground truth is not used), and
`verl/utils/dataset/dpo_dataset.py` and `rm_dataset.py`, where a prompt is one text: a conversation of
several turns has no place there.
"""

from __future__ import annotations

from palate.core.errors import DataError
from palate.core.records import Demonstration, Preference, Prompt
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, PROMPTS, Row, Target, said

_ABILITY = "alignment"


def _preference(row: Preference) -> Row:
    if len(row.prompt.messages) != 1:
        raise DataError("the prompt has several turns, and verl takes one question")
    return {"prompt": row.prompt.text, "chosen": row.chosen, "rejected": row.rejected}


def _demonstration(row: Demonstration) -> Row:
    return {"messages": [*row.prompt.as_dicts(), *said(row.completion)]}


def _prompt(prompt: Prompt, number: int) -> Row:
    return {
        "data_source": "palate",
        "prompt": prompt.as_dicts(),
        "ability": prompt.kind or _ABILITY,
        "reward_model": {"style": "model", "ground_truth": ""},
        "extra_info": {"index": number, "prompt_id": prompt.id},
    }


TARGET = Target(
    name="verl",
    suffixes=(".parquet",),
    preference=_preference,
    demonstration=_demonstration,
    prompt=_prompt,
    use={
        PREFERENCES: "data.prompt_key=prompt data.chosen_key=chosen data.rejected_key=rejected",
        DEMONSTRATIONS: "data.train_files names it, data.messages_key=messages",
        PROMPTS: "data.train_files names it, data.prompt_key=prompt; the reward comes from a reward model",
    },
    keeps_kind_of=frozenset({PROMPTS}),
)
"""verl."""
