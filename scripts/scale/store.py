"""What a judgement costs the journal: real transactions on a real file, and the file's size."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judge

TASKS = 2000
TEXT = "a" * 40


def measure() -> dict[str, float]:
    """Median seconds of `take` and `judge` of one task, and bytes of a judgement and of a comparison without text."""
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "journal.db"
        with Journal.open(path) as journal:
            rows.add_raters(journal, [Rater("someone")])
            empty = _bytes(journal, path)
            prompts = [Prompt.of(f"{TEXT} {number}") for number in range(TASKS)]
            answers = [[completion(p, side) for side in "ab"] for p in prompts]
            comparisons = [
                Comparison(prompt=p.id, first=a.id, second=b.id, source="scaling")
                for p, (a, b) in zip(prompts, answers, strict=True)
            ]
            rows.add_prompts(journal, prompts)
            rows.add_completions(journal, [one for both in answers for one in both])
            rows.add_comparisons(journal, comparisons)
            filled = _bytes(journal, path)
            times = []
            for number in range(TASKS):
                began = time.perf_counter()
                (task,) = queue.take(journal, "someone", 1, judgements_wanted=1)
                said = Judgement(
                    uid=f"{number:032x}",
                    comparison=task.comparison.id,
                    rater="someone",
                    verdict=Verdict.FIRST,
                    strength=2,
                    reasons=("helpful",),
                    guideline="v1",
                    seconds=42.0,
                )
                judge(journal, [said])
                times.append(time.perf_counter() - began)
            judged = _bytes(journal, path)
    return {
        "store_write_s": statistics.median(times),
        "judgement_bytes": (judged - filled) / TASKS,
        "comparison_bytes": (filled - empty) / TASKS - 4 * len(TEXT),
    }


def completion(prompt: Prompt, side: str) -> Completion:
    """An answer."""
    return Completion(prompt=prompt.id, text=f"{TEXT} {side}", policy="policy-0", sample=0)


def _bytes(journal: Journal, path: Path) -> int:
    """Of the file, with what still stands in its log."""
    with journal.transaction() as connection:
        pages: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        size: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    return pages * size
