"""How far the first three steps of every recipe are apart when they are batched otherwise.

| name | what it is |
|---|---|
| `invariance/max` | largest relative deviation of loss, gradient norm or weights in float32, over all recipes, over micro-batches of 1, 3 and all, and over padding right, left and packing; from the mean over recipes to the largest |
| `invariance/max/float64` | the same in float64 |

`n` is the number of runs. Recipes that sample learn from the same stored rollouts.
"""  # noqa: E501

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import torch
from transformers.utils import logging

from palate.world.trials import batching
from palate.world.trials import setting as small


def figures(seed: int) -> list[dict[str, Any]]:
    """Both rows; another seed makes other models, orders and samples."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small are slower with two
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    try:
        # The norm of a Llama computes in float32 whatever it is given; a GPT-2's does not.
        return [_row("invariance/max", "llama", seed), _row("invariance/max/float64", "gpt2", seed)]
    finally:
        torch.set_num_threads(threads)


def _row(name: str, family: str, seed: int) -> dict[str, Any]:
    worst: dict[str, float] = {}
    runs = 0
    precision = batching.in_float64 if "float64" in name else contextlib.nullcontext
    with tempfile.TemporaryDirectory() as folder:
        setting = small.make(Path(folder), family=family, seed=seed)
        for trial in batching.batched(small.trials(setting)):
            with precision():
                found = batching.deviations(trial.told(seed=seed), Path(folder) / trial.name.replace(" ", "-"))
            worst[trial.name] = max(max(deviation) for deviation in found.values())
            runs += len(found) + 1
            print(f"{name} {trial.name}: {worst[trial.name]:.1e}", file=sys.stderr, flush=True)
    mean, most = sum(worst.values()) / len(worst), max(worst.values())
    return {"name": name, "value": most, "low": mean, "high": most, "n": runs, "seeds": 1}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
