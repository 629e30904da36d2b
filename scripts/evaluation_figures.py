"""Measure what evaluation promises, cell by cell, into docs/results/evaluation.json and docs/evaluation-figures.md."""

from __future__ import annotations

from scripts import cells

CELLS = {
    "intervals": "scripts.evaluation.intervals",
    "monitor": "scripts.evaluation.monitor",
    "overoptimisation": "scripts.evaluation.overoptimisation",
    "maxmin": "scripts.evaluation.maxmin",
    "guardrail": "scripts.evaluation.guardrail",
    "redteam": "scripts.evaluation.redteam",
    "real_files": "scripts.evaluation.real_files",
}
ONE_CORE = ("intervals", "overoptimisation", "real_files")

if __name__ == "__main__":
    sheet = cells.Sheet("evaluation", CELLS, ONE_CORE, cells.ROOT / "docs" / "evaluation-figures.md")
    cells.main(sheet, __doc__ or "")
