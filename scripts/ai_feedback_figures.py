"""Measure feedback from models, cell by cell, into docs/results/ai_feedback.json and docs/ai-feedback-figures.md."""

from __future__ import annotations

from scripts import cells

CELLS = {
    "rlaif": "scripts.ai_feedback.rlaif",
    "debate": "scripts.ai_feedback.debate",
    "assisted": "scripts.ai_feedback.assisted",
    "self_play": "scripts.ai_feedback.self_play",
    "principles": "scripts.ai_feedback.principles",
    "cai": "scripts.ai_feedback.cai",
    "practice_rlaif": "scripts.ai_feedback.practice_rlaif",
    "practice_self_play": "scripts.ai_feedback.practice_self_play",
}
ONE_CORE: tuple[str, ...] = ()

if __name__ == "__main__":
    sheet = cells.Sheet("ai_feedback", CELLS, ONE_CORE, cells.ROOT / "docs" / "ai-feedback-figures.md")
    cells.main(sheet, __doc__ or "")
