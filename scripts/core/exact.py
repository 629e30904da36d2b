"""How near to the exact optimum each algorithm comes, in expectation and on samples.

| name | what it averages |
|---|---|
| `exact/<algorithm>/J_gap` | worst J* - J over bandit and tree and β in {.1, .3, 1}, in reward units; the range |
| `sampled/<algorithm>/share_of_gain` | mean share of J* - J(π_ref), tree, β = .3; each seed is a world |
| `sampled/<algorithm>/share_of_gain/worst` | the worst of those seeds |
| `sampled/<algorithm>/seconds` | processor time of a seed: the mean, and the range |
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import torch

from palate.core.ids import derive_seed
from palate.evaluation.statistics import over_seeds
from palate.functional.dpo import dpo_loss
from palate.world.exact import gradient, population, sampled
from palate.world.exact.tree import arms, random_world, words

BETAS: Final = (0.1, 0.3, 1.0)
SEEDS: Final = 10
NAMES: Final = ("reinforce", "rloo", "ppo", "grpo_no_std", "dr_grpo", "dpo")


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows, but for the seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one core, as the bounds say
    try:
        exact = [exact_row(name, seed) for name in NAMES]
        return exact + [row for name in sampled.ALGORITHMS for row in sampled_rows(name, seed)]
    finally:
        torch.set_num_threads(threads)


def exact_row(algorithm: str, seed: int) -> dict[str, Any]:
    """What following the expected gradient to its end leaves of J."""
    gaps = []
    for tree in (arms(12), words(2, 6)):
        for beta in BETAS:
            world = random_world(tree, derive_seed(seed, "exact"), beta)
            if algorithm == "dpo":
                logits_SV = population.minimise(world, dpo_loss)
            else:
                logits_SV = gradient.reach(world, algorithm).logits_SV
            gaps.append(abs(world.gap(logits_SV)))  # rounding may put J above J*
    return _row(f"exact/{algorithm}/J_gap", max(gaps), min(gaps), max(gaps), gaps, 1)


def sampled_rows(algorithm: str, seed: int) -> list[dict[str, Any]]:
    """What learning from samples reaches, and how long it takes."""
    shares, seconds = [], []
    for run in range(SEEDS):
        child = derive_seed(seed, "sampled", run)
        world = random_world(words(2, 6), child, 0.3)
        start = time.process_time()
        logits_SV = sampled.train(world, algorithm, sampled.SampledConfig(seed=child))
        seconds.append(time.process_time() - start)
        shares.append(world.share_of_gain(logits_SV))
    mean, name = over_seeds(shares), f"sampled/{algorithm}"
    return [
        _row(f"{name}/share_of_gain", mean.value, mean.low, mean.high, shares, SEEDS),
        _row(f"{name}/share_of_gain/worst", min(shares), None, None, shares, SEEDS),
        _row(f"{name}/seconds", sum(seconds) / SEEDS, min(seconds), max(seconds), seconds, SEEDS),
    ]


def _row(
    name: str, value: float, low: float | None, high: float | None, values: Sequence[float], seeds: int
) -> dict[str, Any]:
    return {"name": name, "value": value, "low": low, "high": high, "n": len(values), "seeds": seeds}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
