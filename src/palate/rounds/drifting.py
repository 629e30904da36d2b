"""What has changed since the last dataset: what people ask, and how well the reward model still tells what they like.

The first: the first question of each chat since, beside the prompts that the dataset is made of; later turns of a chat
hang together, and are left out. The second: how surprised the reward model is by what people say of comparisons that it
never saw, beside its surprise at held-out ones; a policy that moves makes that harder, and then it is time for a round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import read_manifest
from palate.core.judges import Judge, Pair
from palate.core.records import Preference
from palate.evaluation import drift
from palate.evaluation.drift import Watch
from palate.preferences import dataset
from palate.preferences.contents import collect
from palate.store import exposures
from palate.store.journal import Journal

_LEAST: Final = 1e-6


class Drift(NamedTuple):
    """What a watch says, in words."""

    what: str
    before: int
    since: int
    watch: Watch | None
    """None where there is too little to say anything."""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.watch is None:
            return f"{self.what}: too little to say ({self.before} rows from before, {self.since} since)."
        odds = f"a fair bet against that stood at {self.watch.evidence:.1f} to 1 at most"
        if self.watch.alarm is None:
            return f"{self.what}: as before, over {self.since} rows ({odds}; 20 is an alarm)."
        return f"{self.what}: not as before, since row {self.watch.alarm + 1} of {self.since} ({odds})."


def asked(journal: Journal, data: Path, *, seed: int = 0) -> Drift:
    """Whether people ask other things than the dataset is made of.

    Args:
        journal: Where answers stand that people were shown.
        data: The dataset's folder.
        seed: Of the watch.
    """
    every = [row.prompt for split in dataset.SPLITS for row in dataset.load_preferences(data, split)]
    before = {prompt.id: prompt.text for prompt in every}
    since = exposures.first_questions(journal, read_manifest(data).made_at)
    enough = len(before) >= 2 * drift.FEWEST and bool(since)
    told = drift.prompts(list(before.values()), since, seed=seed) if enough else None
    return Drift("What people ask", len(before), len(since), told)


def liked(journal: Journal, data: Path, judge: Judge, *, seed: int = 0) -> Drift:
    """Whether a reward model is more surprised by new judgements than by held-out ones.

    Args:
        journal: Where new judgements are.
        data: The dataset that the reward model learned from.
        judge: The reward model.
        seed: Of the watch.
    """
    known = {row.comparison for split in dataset.SPLITS for row in dataset.load_preferences(data, split)}
    before = dataset.load_preferences(data, "heldout")
    since = [row for row in collect(journal).preferences if row.comparison not in known]
    enough = len(before) >= drift.FEWEST and bool(since)
    told = drift.watch(surprises(judge, before), surprises(judge, since), seed=seed) if enough else None
    return Drift("What people like, as the reward model sees it", len(before), len(since), told)


def surprises(judge: Judge, rows: Sequence[Preference]) -> list[float]:
    """Cross entropy of each label under a judge, in nats; rows without an opinion are left out."""
    said = judge.judge([Pair(row.prompt, row.chosen, row.rejected) for row in rows])
    found = []
    for row, one in zip(rows, said, strict=True):
        if one.p_first is not None:
            p = min(max(one.p_first, _LEAST), 1 - _LEAST)
            found.append(-row.p_chosen * math.log(p) - (1 - row.p_chosen) * math.log(1 - p))
    return found
