"""Runs of the practice world that measurements share: their seeds, their base and SFT models, what they came to."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from palate.core.ids import content_id, derive_seed
from palate.world import stages
from palate.world.ai_feedback import rlaif, self_play
from palate.world.settings import Size

SEEDS: Final = 5
LABEL: Final = "practice self-play, steady"
"""Of the seeds: those of self-play, which nothing was chosen on; other cells take them for their bases."""
BUILT: Final = Path(__file__).resolve().parents[2] / "build" / "practice-arms"

Arms: TypeAlias = Callable[[Path, int, Path, Size, Any], list[Any]]
"""Arms of one seed, each a named tuple: from a folder, a seed, an SFT model, the world's size, and amounts."""


class Measurement(NamedTuple):
    """What is run on every seed."""

    arms: Arms
    amounts: Any


MEASUREMENTS: Final = {
    "rlaif": Measurement(rlaif.run, rlaif.Amounts()),
    "self-play": Measurement(self_play.run, self_play.Amounts()),
}
"""By name, the longest first; each seed's base is made by the first."""


def of_seeds(name: str, seed: int) -> list[list[list[Any]]]:
    """What each seed's arms of a measurement came to, as lists of their fields.

    All measurements share one pool, or five seeds would leave one of two cores idle at the end of each.
    """
    seeds = [derive_seed(seed, LABEL, number) % 10_000 for number in range(SEEDS)]
    with ProcessPoolExecutor(2) as pool:
        runs = {each: [pool.submit(run, each, one) for one in seeds] for each in MEASUREMENTS}
        return [run.result() for run in runs[name]]


def run(name: str, seed: int) -> list[list[Any]]:
    """One seed's; base and SFT model are made once for all measurements, and what was measured is kept."""
    stages.quiet(1)
    root, size = BUILT / str(seed), Size()
    arms, amounts = MEASUREMENTS[name]
    kept = root / f"{name}-{content_id('arms', [asdict(size), asdict(amounts)])}.json"
    if not kept.is_file():
        root.mkdir(parents=True, exist_ok=True)
        sft = stages.make_sft(root, seed, size, stages.make_base(root, seed, size))
        found = arms(root, seed, sft, size, amounts)
        half = kept.with_suffix(".partial")
        half.write_text(json.dumps(found), encoding="utf-8")
        half.replace(kept)
    return json.loads(kept.read_text(encoding="utf-8"))
