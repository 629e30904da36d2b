"""Does another round help, and is it the fresh labels, where gold is exact and every policy stands at the same KL?

| name | what it averages |
|---|---|
| `rounds/2_over_1` | E[gold] of the second round's policy less the first's, in deviations of gold under the reference, at KL 4 |
| `rounds/2_over_1_low` | the lower end of the 95 % interval of that, as a value; its interval is the same |
| `rounds/2_over_1/kl=<nats>` | the same at each KL |
| `rounds/2_over_1/wins` | share of seeds in which the second round's policy has more gold, at KL 4 |
| `rounds/2_over_1/wins/kl=<nats>` | the same at each KL |
| `rounds/3_over_2` | the third round's policy less the second's, at KL 4 |
| `rounds/3_over_2/kl=<nats>` | the same at each KL |
| `rounds/3_over_2/wins` | share of seeds in which the third round's policy has more gold, at KL 4 |
| `rounds/3_over_2/wins/kl=<nats>` | the same at each KL |
| `rounds/over_offline` | the third round's policy less that of as many labels on the reference's answers, in one go, at KL 4 |
| `rounds/over_offline/kl=<nats>` | the same at each KL |
| `rounds/over_offline/wins` | share of seeds in which three rounds have more gold, at KL 4 |
| `rounds/over_offline/wins/kl=<nats>` | the same at each KL |
| `rounds/gap_closed` | of what round 1 lacks of the most gold that this KL can buy, the share that rounds 2 and 3 add, at KL 4; ratio of means |
| `rounds/gap_closed/kl=<nats>` | the same at each KL |
| `rounds/gap_closed/offline` | the same share for as many labels in one go, at KL 4 |
| `rounds/gap_closed/offline/kl=<nats>` | the same at each KL |
| `rounds/gold/<who>/kl=<nats>` | E[gold] of a policy above the reference's: rounds 1 to 3, offline, and most, which pursues gold itself |
| `rounds/rm_on_policy_accuracy/<k>` | how often round k's reward model takes the better by gold of two answers of the policy that pursues it, at KL 4 |
| `rounds/rm_on_policy_accuracy/<k>/next` | the next round's reward model, which has seen labels of that policy, on the same pairs |
| `rounds/rm_on_policy_accuracy/<k>/kl=<nats>` | as without, at each KL |
| `rounds/rm_on_policy_accuracy/<k>/next/kl=<nats>` | as without, at each KL |

Languages of 262,144 sequences (`palate.world.exact.iterated`), one a seed, 1,000 labels a round, sharpness 1. The
number of labels was chosen on 20 pilot languages among 250, 500, 1,000 and 2,000: of the differences at KL 7 between
rounds 3 and 2, which are the smallest of all, its was the clearest (.067 ± .056; .128 ± .132, .093 ± .103 and
.025 ± .077 for the others). At KL 7 a policy may come down to one sequence, at the KL of that one; of its answers none
is better than another, and such languages are left out of the accuracies. Intervals of differences: Student's, over paired seeds; of ratios: bootstrap over seeds.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes share two cores

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from scripts.evaluation.rows import row, share

from palate.core.ids import derive_seed
from palate.evaluation.statistics import Figure, over_seeds
from palate.world.exact import iterated
from palate.world.exact.iterated import Plan
from palate.world.exact.language import Language, random_language

SEEDS: Final = 50
KLS: Final = (1.0, 4.0, 7.0)
MAIN: Final = 4.0
ROUNDS: Final = 3
_DRAWS: Final = 2000


class Ran(NamedTuple):
    """What one language came to at one KL."""

    kl: float
    gains: tuple[float, ...]
    """Of each round."""
    offline: float
    most: float
    accurate: tuple[float, ...]
    """Each round's reward model on its own policy's answers."""
    accurate_next: tuple[float, ...]
    """The next round's reward model on the same pairs."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(run, [derive_seed(seed, "rounds exact", number) for number in range(SEEDS)]))
    return rows([one for some in found for one in some], seed)


def run(seed: int) -> list[Ran]:
    """All KLs in one language."""
    torch.set_num_threads(1)
    language = random_language(seed)
    return [_at(language, Plan(kl_nats=kl, rounds=ROUNDS), seed) for kl in KLS]


def _at(language: Language, plan: Plan, seed: int) -> Ran:
    turns = iterated.rounds(language, plan, seed)

    def right(model: int, policy: int) -> float:
        tested = derive_seed(seed, "tested", policy)
        return iterated.accuracy(language, turns[model].rewards_K, turns[policy].policy.logprobs_K, tested)

    return Ran(
        plan.kl_nats,
        tuple(turn.gain for turn in turns),
        iterated.offline(language, plan, seed).gain,
        iterated.most(language, plan),
        tuple(right(number, number) for number in range(plan.rounds)),
        tuple(right(number + 1, number) for number in range(plan.rounds - 1)),
    )


def rows(found: Sequence[Ran], seed: int) -> list[dict[str, Any]]:
    """Figures of all languages."""
    out = []
    for kl in KLS:
        some = [one for one in found if one.kl == kl]
        parts = _rows(some, seed)
        if kl == MAIN:
            out += [row(name, figure, seeds=len(some)) for name, figure in parts.items()]
            low = parts["rounds/2_over_1"]
            out.append(row("rounds/2_over_1_low", Figure(low.low, low.low, low.high, low.n), seeds=len(some)))
        out += [row(f"{name}/kl={kl:g}", figure, seeds=len(some)) for name, figure in parts.items()]
        told = {f"round {k + 1}": [one.gains[k] for one in some] for k in range(ROUNDS)}
        told |= {"offline": [one.offline for one in some], "most": [one.most for one in some]}
        out += [row(f"rounds/gold/{who}/kl={kl:g}", over_seeds(gains), len(some)) for who, gains in told.items()]
    return out


def _rows(some: Sequence[Ran], seed: int) -> dict[str, Figure]:
    gains, offline, most = (np.array([getattr(one, name) for one in some]) for name in ("gains", "offline", "most"))
    more = {
        "rounds/2_over_1": gains[:, 1] - gains[:, 0],
        "rounds/3_over_2": gains[:, 2] - gains[:, 1],
        "rounds/over_offline": gains[:, 2] - offline,
    }
    out = {name: over_seeds(difference.tolist()) for name, difference in more.items()}
    out |= {f"{name}/wins": share((difference > 0).tolist()) for name, difference in more.items()}
    lacking = most - gains[:, 0]
    out["rounds/gap_closed"] = _ratio(gains[:, 2] - gains[:, 0], lacking, seed)
    out["rounds/gap_closed/offline"] = _ratio(offline - gains[:, 0], lacking, seed)
    for name, part in (("", "accurate"), ("/next", "accurate_next")):
        for number, told in enumerate(zip(*(getattr(one, part) for one in some), strict=True), start=1):
            out[f"rounds/rm_on_policy_accuracy/{number}{name}"] = over_seeds([x for x in told if not math.isnan(x)])
    return out


def _ratio(above: np.ndarray, below: np.ndarray, seed: int) -> Figure:
    """Of means, with a bootstrap interval over languages."""
    rng = np.random.default_rng(derive_seed(seed, "ratio"))
    drawn = rng.integers(len(above), size=(_DRAWS, len(above)))
    low, high = np.quantile(above[drawn].sum(1) / below[drawn].sum(1), [0.025, 0.975])
    return Figure(float(above.sum() / below.sum()), float(low), float(high), len(above))
