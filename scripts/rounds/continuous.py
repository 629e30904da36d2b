"""Rounds that begin by themselves, and the watch for drift.

| name | what it averages |
|---|---|
| `continuous/exactly_one` | share of arrivals of enough labels after which exactly one round began, with three watchers that look at random moments |
| `continuous/over_budget` | rounds that began beyond the budget |
| `drift/false_alarms` | share of streams of 1,000 prompts from where the first 300 came that ever raise an alarm |
| `drift/found` | share of streams whose mix changes after 300 prompts, half of the plans giving way to harmful requests, with an alarm after that |
| `drift/delay` | prompts from the change to the alarm, median |
| `drift/reward/false_alarms` | share of streams of 600 judgements as the reward model expects them that ever raise an alarm |
| `drift/reward/found` | share of streams in which it is right on .6 instead of .75 of new comparisons, with an alarm |

Streams are drawn from the practice world's prompts; 1,000 without a change and 200 with one. Intervals: Wilson's, for
the median a bootstrap.
"""  # noqa: E501

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from scripts.evaluation.rows import row, share

from palate.core.artefacts import Workspace
from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.evaluation import drift
from palate.evaluation.statistics import Figure
from palate.rounds.continuous import ContinuousConfig, next_
from palate.store import judgements, rounds
from palate.store import rows as stored
from palate.store.journal import Journal
from palate.world.prompts import MIX, split

NULL, CHANGED = 1000, 200
BEFORE, SINCE, CHANGE = 300, 1000, 300
ARRIVALS: Final = 40


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    return [*_begun(seed), *_prompts(seed), *_liked(seed)]


def _prompts(seed: int) -> list[dict[str, Any]]:
    other = MIX | {"career": MIX["career"] / 2, "harmful": MIX["harmful"] + MIX["career"] / 2}
    false, found = [], []
    for number in range(NULL):
        rng = random.Random(derive_seed(seed, "null", number))
        told = drift.prompts(_asked(rng, MIX, BEFORE), _asked(rng, MIX, SINCE), seed=number)
        false.append(told.alarm is not None)
    for number in range(CHANGED):
        rng = random.Random(derive_seed(seed, "changed", number))
        since = _asked(rng, MIX, CHANGE) + _asked(rng, other, SINCE - CHANGE)
        at = drift.prompts(_asked(rng, MIX, BEFORE), since, seed=number).alarm
        found.append(at - CHANGE if at is not None and at >= CHANGE else None)
    late = np.array([at for at in found if at is not None], dtype=float)
    draws = np.random.default_rng(seed).choice(late, (1000, len(late)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return [
        row("drift/false_alarms", share(false), seeds=NULL),
        row("drift/found", share(at is not None for at in found), seeds=CHANGED),
        row("drift/delay", Figure(float(np.median(late)), float(low), float(high), len(late)), seeds=CHANGED),
    ]


def _asked(rng: random.Random, mix: dict[str, float], count: int) -> list[str]:
    """Prompts one by one, so that their order tells nothing."""
    pool = split()[0].by_kind
    kinds = rng.choices(list(mix), list(mix.values()), k=count)
    return [rng.choice(pool[kind]).text for kind in kinds]


def _liked(seed: int) -> list[dict[str, Any]]:
    def alarmed(number: int, later: float) -> bool:
        rng = np.random.default_rng(derive_seed(seed, "liked", later, number))
        before, since = _surprises(rng, 0.75, BEFORE), _surprises(rng, later, 600)
        return drift.watch(before, since, seed=number).alarm is not None

    return [
        row("drift/reward/false_alarms", share(alarmed(n, 0.75) for n in range(NULL)), seeds=NULL),
        row("drift/reward/found", share(alarmed(n, 0.6) for n in range(CHANGED)), seeds=CHANGED),
    ]


def _surprises(rng: np.random.Generator, accuracy: float, count: int) -> list[float]:
    """Cross entropies of a reward model with margins of its own, right so often."""
    margins = np.abs(rng.normal(0, 1.5, count))
    right = rng.random(count) < accuracy
    surprises: list[float] = np.logaddexp(0, np.where(right, -margins, margins)).tolist()
    return surprises


def _begun(seed: int) -> list[dict[str, Any]]:
    """Labels come in; three watchers look, and whoever finds enough begins a round."""
    config = ContinuousConfig(judgements=20, rounds=ARRIVALS // 2, hours=1e6, days=1e4)
    rng = random.Random(derive_seed(seed, "watchers"))
    exact, over = [], 0
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder) / "palate.db") as journal:
        workspace, arrived = Workspace(folder), 0
        for arrival in range(ARRIVALS):
            arrived = _arrive(journal, arrived, rng.randint(20, 30))
            before = len(rounds.every(journal))
            seen = [next_(journal, workspace, config) for _ in range(3)]  # all look before any of them acts
            for one in seen:
                if one.do == "begin":
                    _turn(journal, one.number)
            now = len(rounds.every(journal)) - before
            if arrival < config.rounds:
                exact.append(now == 1)
            else:
                over += now
    budget = {"name": "continuous/over_budget", "value": over, "low": None, "high": None, "n": ARRIVALS - config.rounds}
    return [row("continuous/exactly_one", share(exact)), {**budget, "seeds": 1}]


def _turn(journal: Journal, number: int) -> None:
    try:
        made = rounds.begin(journal, {"steps": ["dataset"]}, expected=number)
    except DataError:
        return  # another watcher was faster
    rounds.note(journal, made.id, "dataset", "done", details={"until": judgements.newest(journal)})
    rounds.note(journal, made.id, "", "done")


def _arrive(journal: Journal, first: int, count: int) -> int:
    stored.add_raters(journal, [Rater("r")])
    prompts = [Prompt.of(f"prompt {number}") for number in range(first, first + count)]
    sides = [[Completion(prompt=p.id, text=text, policy="p") for text in "ab"] for p in prompts]
    pairs = [Comparison(prompt=one.prompt, first=one.id, second=two.id) for one, two in sides]
    stored.add_prompts(journal, prompts)
    stored.add_completions(journal, [one for two in sides for one in two])
    stored.add_comparisons(journal, pairs)
    said = [Judgement(uid=f"j{c.id}", comparison=c.id, rater="r", verdict=Verdict.FIRST) for c in pairs]
    judgements.judge(journal, said)
    return first + count
