"""Measure, where a transformer is trained, what evaluation promises, into docs/results/practice.json and its page."""

from __future__ import annotations

from scripts import cells

CELLS = {"practice": "scripts.evaluation.practice", "bias": "scripts.evaluation.bias"}

if __name__ == "__main__":
    sheet = cells.Sheet("practice", CELLS, (), cells.ROOT / "docs" / "evaluation-figures.md")
    cells.main(sheet, __doc__ or "")
