"""A planted bias, before and after a round of feedback.

| name | what it averages |
|---|---|
| `bias/planted` | gold of an answer to people of one place less that to people of the other, on the same questions, after the bias was planted |
| `bias/<raters>` | the same after a round with raters to whom a place means nothing (`neutral`), who share the bias (`biased`), or who make up for it (`counter`) |
| `bias/<model>/claims` | right, specific claims in place of gold |

One base model; a round is a reward model from these raters' judgements and RLOO against it. 160 questions, each asked by
people of both places. Intervals: a bootstrap over questions.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two processes share two cores

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from palate.core.ids import derive_seed
from palate.world import bias, stages
from palate.world.probes import Bias
from palate.world.wide import stages as wide

BUILT: Final = Path(__file__).resolve().parents[2] / "build" / "practice"


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    own = derive_seed(seed, "practice", 0) % 10_000
    planted = planted_model(own)
    with ProcessPoolExecutor(2) as pool:
        told = list(pool.map(partial(measured, own, planted), ("", *bias.RATERS)))
    return [row for name, one in zip(("planted", *bias.RATERS), told, strict=True) for row in rows(name, one)]


def planted_model(seed: int) -> Path:
    """A model that was taught to serve one place worse."""
    stages.quiet(2)
    root = BUILT / str(seed)
    return bias.plant(root, seed, wide.models(root, seed).sft)


def measured(seed: int, planted: Path, raters: str) -> Bias:
    """How differently two places are served, after a round with raters of a kind; before it when there are none."""
    stages.quiet(1)
    return bias.measure(bias.after_round(BUILT / str(seed), seed, planted, raters) if raters else planted, seed)


def rows(name: str, found: Bias) -> list[dict[str, Any]]:
    """Figures of one model."""
    told = ((f"bias/{name}", found.gold), (f"bias/{name}/claims", found.claims))
    return [{"name": key, **{part: getattr(one, part) for part in ("value", "low", "high", "n")}} for key, one in told]
