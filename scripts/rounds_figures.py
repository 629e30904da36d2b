"""Measure rounds, cell by cell, into docs/results/rounds.json and docs/rounds-figures.md."""

from __future__ import annotations

from scripts import cells

CELLS = {
    "exact": "scripts.rounds.exact",
    "practice": "scripts.rounds.practice",
    "kills": "scripts.rounds.kills",
    "trace": "scripts.rounds.trace",
    "influence": "scripts.rounds.influence",
    "ab": "scripts.rounds.ab",
    "swap": "scripts.rounds.swap",
    "forget": "scripts.rounds.forget",
    "gates": "scripts.rounds.gates",
    "continuous": "scripts.rounds.continuous",
}
ONE_CORE: tuple[str, ...] = ()

if __name__ == "__main__":
    sheet = cells.Sheet("rounds", CELLS, ONE_CORE, cells.ROOT / "docs" / "rounds-figures.md")
    cells.main(sheet, __doc__ or "")
