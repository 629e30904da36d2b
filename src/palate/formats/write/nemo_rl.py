"""NeMo-RL: ranked completions of a context, and conversations for SFT.

Source: `docs/guides/dpo.md` of NVIDIA-NeMo/RL and its `ResponseDataset`, which needs an answer in every
row, so prompts alone cannot be written.
"""

from __future__ import annotations

from palate.core.records import Demonstration, Preference
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, Row, Target, said


def _preference(row: Preference) -> Row:
    sides = (row.chosen, row.rejected)
    return {
        "context": row.prompt.as_dicts(),
        "completions": [{"rank": rank, "completion": said(text)} for rank, text in enumerate(sides)],
    }


def _demonstration(row: Demonstration) -> Row:
    return {"messages": [*row.prompt.as_dicts(), *said(row.completion)]}


TARGET = Target(
    name="nemo-rl",
    suffixes=(".jsonl", ".json"),
    preference=_preference,
    demonstration=_demonstration,
    prompt=None,
    use={
        PREFERENCES: "dataset class PreferenceDataset (the rank format)",
        DEMONSTRATIONS: "dataset class ResponseDataset, which finds `messages`",
    },
)
"""NVIDIA NeMo-RL."""
