"""What the frozen reference thinks of rows that stay the same: asked once in a project, then read from the disk.

A file's name is the id of all that the numbers hang on: the reference, the rows' tokens, the precision. So another
loss, another learning rate or a run that goes on find them, and other rows never do. The folder can be deleted.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from palate.core.ids import content_id
from palate.training import parallel
from palate.training.run import Run
from palate.training.settings import TuningConfig

FOLDER = "cache/reference"
"""In a workspace."""
_NAME = "summed_logprobs"


def remembered(run: Run, config: TuningConfig, rows: object, ask: Callable[[], Tensor]) -> Tensor:
    """What `ask` gives, or gave for the same rows before.

    Args:
        run: Whose manifest names the reference.
        config: Its precision.
        rows: Token ids of all of them, as lists.
        ask: Computes the numbers.
    """
    told = [run.manifest.inputs["reference"], config.dtype, config.tuning == "qlora", str(torch.get_default_dtype())]
    path = run.workspace.root / FOLDER / f"{content_id('reference', [told, rows])}.safetensors"
    found = parallel.from_first(lambda: _read(path))
    if found is None:
        found = ask()
        parallel.from_first(lambda: _write(path, found, run))
    return found


def _read(path: Path) -> Tensor | None:
    """None where there is nothing, or nothing whole."""
    if not path.is_file():
        return None
    try:
        found: Tensor = load_file(path)[_NAME]
    except (SafetensorError, KeyError, OSError):
        return None
    return found


def _write(path: Path, values: Tensor, run: Run) -> None:
    staging = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({_NAME: values.contiguous()}, staging)
        os.replace(staging, path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            staging.unlink()
        run.progress.note(f"log-probabilities of the reference are not kept for the next run: {error}")
