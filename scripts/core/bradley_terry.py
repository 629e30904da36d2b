"""How often the 95 % intervals of Bradley-Terry strengths hold the truth.

| name | what it averages |
|---|---|
| `bt/coverage` | share of intervals that hold the true strength: 20 items, 4,000 data sets of 2,000 comparisons |
| `bt/coverage/ties` | the same where a fifth of close comparisons are ties, by the sandwich over 100 raters |

A seed gives the strengths and the data; the interval is over data sets.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any, Final

import numpy as np

from palate.core.ids import derive_seed
from palate.preferences.strengths import Outcome, fit, strengths

ITEMS: Final = 20
COMPARISONS: Final = 2000
REPLICATES: Final = 4000
CLUSTERED: Final = 300
RATERS: Final = 100
_Z: Final = 1.959964
_BLOCK: Final = 500


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    return [_row("bt/coverage", plain(seed)), _row("bt/coverage/ties", clustered(seed))]


def plain(seed: int) -> np.ndarray:
    """Of each data set, the share of its items whose interval holds the truth."""
    rng = np.random.default_rng(derive_seed(seed, "bt"))
    truth = rng.normal(size=ITEMS)
    truth -= truth.mean()
    held = []
    for _ in range(REPLICATES // _BLOCK):
        wins = np.zeros((_BLOCK, ITEMS, ITEMS))
        first, second = _pairs(rng, (_BLOCK, COMPARISONS))
        won = rng.random(first.shape) < 1 / (1 + np.exp(truth[second] - truth[first]))
        rows = np.broadcast_to(np.arange(_BLOCK)[:, None], first.shape)
        np.add.at(wins, (rows, np.where(won, first, second), np.where(won, second, first)), 1.0)
        values, inverse = fit(wins)
        errors = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
        held.append((np.abs(values - truth) <= _Z * errors).mean(axis=1))
    return np.concatenate(held)


def clustered(seed: int) -> np.ndarray:
    """The same through the whole function: with ties, and with errors from raters' sums."""
    rng = np.random.default_rng(derive_seed(seed, "bt", "raters"))
    truth = rng.normal(size=ITEMS)
    truth -= truth.mean()
    names = [f"item {index:02}" for index in range(ITEMS)]
    held = []
    for _ in range(CLUSTERED):
        first, second = _pairs(rng, (COMPARISONS,))
        rater = np.arange(COMPARISONS) % RATERS
        p = 1 / (1 + np.exp(truth[second] - truth[first]))
        # A tie takes as much from each side: the share of wins, ties half, stays p.
        tie = 0.2 * 2 * np.minimum(p, 1 - p)
        draw = rng.random(COMPARISONS)
        share = np.where(draw < tie, 0.5, (draw - tie < p - tie / 2).astype(float))
        told = [Outcome(names[i], names[j], s) for i, j, s in zip(first, second, share.tolist(), strict=True)]
        found = strengths(told, rater.tolist())
        held.append(((found.low <= truth) & (truth <= found.high)).mean())
    return np.array(held)


def _pairs(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two different items for each comparison."""
    first = rng.integers(ITEMS, size=shape)
    return first, (first + rng.integers(1, ITEMS, size=shape)) % ITEMS


def _row(name: str, held: np.ndarray) -> dict[str, Any]:
    half = _Z * float(held.std(ddof=1)) / math.sqrt(len(held))
    value = float(held.mean())
    return {"name": name, "value": value, "low": value - half, "high": value + half, "n": len(held), "seeds": 1}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
