"""Measure what the training core promises, cell by cell, into docs/results/core.json and docs/training-core.md."""

from __future__ import annotations

from scripts import cells

CELLS = {
    "exact": "scripts.core.exact",
    "frontier": "scripts.core.frontier",
    "parity": "scripts.core.parity",
    "invariance": "scripts.core.invariance",
    "resume": "scripts.core.resume",
    "mutants": "tests.bug_bench.bench",
    "bradley-terry": "scripts.core.bradley_terry",
    "reward-models": "scripts.core.reward_models",
    "memory": "scripts.core.memory",
    "real-data": "scripts.core.real_data",
}
ONE_CORE = ("exact", "frontier", "parity", "invariance", "resume", "mutants", "bradley-terry")

if __name__ == "__main__":
    cells.main(cells.Sheet("core", CELLS, ONE_CORE, cells.ROOT / "docs" / "training-core.md"), __doc__ or "")
