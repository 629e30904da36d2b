"""TRL's trainers, quiet and on one batch. Nothing here is imported where TRL is not."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ASKED = "1.16"


def absence() -> str:
    """Why there is nothing to compare with, in words; empty where TRL is there."""
    try:
        found = importlib.metadata.version("trl")
    except importlib.metadata.PackageNotFoundError:
        return f"TRL is not there, so nothing was held against it: pip install 'palate[trl]' brings {ASKED}"
    if not found.startswith(f"{ASKED}."):
        return f"TRL {found} is there, and {ASKED} is what this was written against: pip install 'palate[trl]'"
    return ""


needs_trl = [
    pytest.mark.parity,
    pytest.mark.skipif(bool(absence()), reason=absence()),
    pytest.mark.filterwarnings("default"),  # what others warn of is not ours to fail on
]


def trainer(
    name: str, folder: Path, model: Any, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], **more: Any
) -> Any:
    """One of TRL's trainers on the CPU in float32, with all rows in one batch and no step taken.

    Args:
        name: Such as `DPO`.
        folder: Where it may write.
        model: What it trains; it is changed.
        rows: Its data set.
        settings: Of its config.
        more: Other arguments of the trainer.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    import trl

    datasets.disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
    plain = {
        "output_dir": str(folder),
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": len(rows),
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "logging_strategy": "no",
        "save_strategy": "no",
    }
    made = getattr(trl, f"{name}Trainer")(
        model=model,
        args=getattr(trl, f"{name}Config")(**plain | dict(settings)),
        train_dataset=datasets.Dataset.from_list([dict(row) for row in rows]),
        **more,
    )
    made.model.train()
    made.current_gradient_accumulation_steps = 1  # what its training loop would set
    return made


def batch(made: Any) -> dict[str, Any]:
    """All of its data, in order, as its own collator puts it."""
    return dict(made.data_collator(list(made.train_dataset)))
