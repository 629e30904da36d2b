"""Kill every recipe with `kill -9`, again and again, and hold what comes out against a run in peace, bit for bit.

| name | what it counts |
|---|---|
| `resume/bit_equal_recipes` | recipes whose every killed run left the same weights, optimiser state, metrics and samples; `n` is the number of kills |
| `resume/recipes` | recipes that were tried |

Kills fall at random: while sampling, before and after an optimiser step, with half a line or half a checkpoint
written, before older checkpoints are deleted, before the artefact has its name, and by the clock.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: threads do not survive a fork
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from palate.core.ids import derive_seed
from palate.world.trials import kills
from palate.world.trials import setting as small

TURNS: Final = 1
"""Killed runs of each trial."""
BLOWS: Final = 5
"""Kills in each, at most."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; another seed kills elsewhere."""
    torch.set_num_threads(1)
    equal: dict[str, bool] = {}
    count = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        made = kills.fork(lambda: small.make(root / "setting") and None)
        if made.code:
            raise RuntimeError(made.said)
        for trial in small.trials(small.make(root / "setting")):
            generator = random.Random(derive_seed(seed, "kills", trial.name))
            found = kills.try_out(trial, root / trial.name.replace(" ", "-"), generator, turns=TURNS, blows=BLOWS)
            count += found.kills
            equal[trial.recipe] = equal.get(trial.recipe, True) and not found.differences
            print(f"{trial.name}: {found.kills} kills, {found.differences or 'bit-equal'}", file=sys.stderr, flush=True)
    rows = {"resume/bit_equal_recipes": sum(equal.values()), "resume/recipes": len(equal)}
    return [{"name": k, "value": v, "low": None, "high": None, "n": count, "seeds": 1} for k, v in rows.items()]


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
