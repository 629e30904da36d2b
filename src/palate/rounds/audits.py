"""The share of a judge's pairs that people look at: which, whether they have, and what they said."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from palate.core.ids import derive_seed
from palate.preferences import dataset
from palate.preferences.voices import by_comparison
from palate.store import judgements, queue, rows
from palate.store.journal import Journal

PAIRS: Final = "pairs.jsonl"
"""In an artefact of a round's pairs: a line each, with the comparison's id, both texts, and the judge's `p_first`."""
WORTH: Final = {"first": 1.0, "second": 0.0, "tie": 0.5}
"""Of a verdict, to the first side."""


def drawn(pairs: Path, share: float, seed: int) -> list[dict[str, Any]]:
    """Which pairs of an artefact people are to see, rounded up; a larger share holds a smaller one."""
    lines = [row for _, row in dataset.read_lines(pairs / PAIRS)]
    order = list(range(len(lines)))
    random.Random(derive_seed(seed, "audits", pairs.name)).shuffle(order)
    return [lines[place] for place in sorted(order[: math.ceil(share * len(lines))])]


def ask(journal: Journal, some: Sequence[dict[str, Any]], reason: str) -> int:
    """Put pairs into the queue; how many of them nobody has judged. Doing it again adds nothing."""
    ids = [row["comparison"] for row in some]
    queue.enqueue(journal, ids, reason=reason)
    return len(set(ids) - set(said(journal, ids)))


def said(journal: Journal, ids: Sequence[str]) -> dict[str, float]:
    """What people said of some comparisons: 1 for the first, 0 for the second, the mean of them all."""
    if not ids:
        return {}
    models = {id for id, one in rows.raters(journal).items() if one.kind == "model"}
    sources = {one.source for one in rows.some_comparisons(journal, ids).values()}
    told = [j for j in judgements.judgements(journal, sorted(sources)) if j.rater not in models]
    wanted = set(ids)
    return {
        id: sum(WORTH[j.verdict] for j in some) / len(some) for id, some in by_comparison(told).items() if id in wanted
    }
