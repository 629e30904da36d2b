"""Whose fault the gap to the best is, and how honest the picture's intervals are, in worlds whose gold is exact.

| name | what it averages |
|---|---|
| `overoptimisation/reward_model_error/<family>` | gold, in deviations under the reference, that following the reward model costs at the KL where a run ended (beyond 6 nats, or after 140 iterations): gold-optimal frontier less gold of the frontier of the reward; mean over runs |
| `overoptimisation/optimiser_error/<family>` | gold of the frontier of the reward less gold of the run, at the same KL; below 0 the run was spared by being a poor optimiser of a poor reward; mean over the same runs |
| `overoptimisation/best_of_64_kl_share` | exact KL of best of 64 over the bound log 64 - 63/64; mean over the same worlds |
| `overoptimisation/interval_coverage` | share of 95 % intervals of proxy and gold at 1 and 4 nats, from 96 samples a look, that hold the exact value, interpolated alike |
| `overoptimisation/fall_overstated` | share of 95 % intervals of what gold has lost since its peak that lie wholly above the exact loss; 2.5 % is what they may |

Worlds of 87,381 answers (`palate.world.exact.gaming`), a table policy trained by RLOO on samples. Nothing here was
tuned. `docs/pictures/gap.svg` is the first run of the family `flattery`. Intervals: bootstrap over runs, Wilson's for shares with the samples of a run hanging together.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.evaluation import charts
from palate.evaluation.overoptimisation import Measure, Units, at_kl, given_back, track
from palate.evaluation.run_samples import RunSamples
from palate.evaluation.statistics import mean, share
from palate.world.exact import gap
from palate.world.exact.gaming import build
from palate.world.exact.pursuit import PursuitConfig, Run, pursue

FAMILIES: Final = ("plain", "long", "style", "flattery", "few-labels")
WORLDS: Final = 6
"""Of each family."""
DRAWS: Final = 6
"""Times the samples of a run are drawn."""
SAMPLES: Final = 96
"""Of a look."""
AT: Final = (1.0, 4.0)
DRAWN: Final = ("flattery", 0)
"""Family and number of the run in the picture."""
PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "gap.svg"


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    rows, chosen = [], []
    inside: dict[str, list[tuple[float, int]]] = {"interval": [], "fall": []}
    for family in FAMILIES:
        found = []
        for number in range(WORLDS):
            which = derive_seed(seed, "over-optimisation", family, number) % 2**31
            run = pursue(build(family, which), PursuitConfig(seed=which))
            world = gap.Truth(run.world.ref_logprobs_K, run.world.gold_K, run.world.proxy_K)
            found.append(gap.gap(world, run.logprobs[-1]))
            if (family, number) == DRAWN:
                _draw(world, run)
            (best, bound) = gap.best_of_n(world, [64])[0]
            chosen.append(best.kl_nats / bound)
            for name, hits in _covered(run, which).items():
                inside[name] += [(hit, which) for hit in hits]
        for name in ("reward_model_error", "optimiser_error"):
            rows.append(row(f"overoptimisation/{name}/{family}", mean([getattr(one, name) for one in found])))
    rows.append(row("overoptimisation/best_of_64_kl_share", mean(chosen)))
    for key, told in (("interval_coverage", inside["interval"]), ("fall_overstated", inside["fall"])):
        rows.append(row(f"overoptimisation/{key}", share([hit for hit, _ in told], [which for _, which in told])))
    return rows


def _draw(world: gap.Truth, run: Run) -> None:
    """`docs/pictures/gap.svg`: a run between the exact frontiers."""
    looks = [gap.point(world, one) for one in run.logprobs]
    kls = np.linspace(0, max(look.kl_nats for look in looks) ** 0.5, 25) ** 2
    svg = gap.drawn(world, looks, kls.tolist(), [1, 2, 4, 8, 16, 32, 64, 128, 256])
    PICTURE.write_text(charts.standalone(svg), encoding="utf-8")


def _covered(run: Run, seed: int) -> dict[str, list[float]]:
    """Whether intervals from samples hold what the tables say."""
    exact: dict[Measure, np.ndarray] = {"proxy": run.proxy_J, "truth": run.gold_J}
    lost = float(run.gold_J.max() - run.gold_J[-1])
    found: dict[str, list[float]] = {"interval": [], "fall": []}
    for draw in range(DRAWS):
        seen = track(
            _sampled(run, derive_seed(seed, "samples", draw)), units=Units(1.0, 1.0), looks=len(exact["truth"])
        )
        for measure, values_J in exact.items():
            for kl in AT:
                figure, beyond = at_kl(seen, kl, measure), np.flatnonzero(run.distance_J**2 >= kl)
                if figure is not None and len(beyond) and beyond[0]:
                    some = slice(beyond[0] - 1, beyond[0] + 1)
                    truth = float(np.interp(kl**0.5, run.distance_J[some], values_J[some]))
                    found["interval"].append(float(figure.low <= truth <= figure.high))
        fall = given_back(seen, "truth")
        if fall is not None:
            found["fall"].append(float(fall.low > lost))
    return found


def _sampled(run: Run, seed: int) -> RunSamples:
    """As a run leaves them; each sample stands for a prompt of its own."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    world, parts = run.world, []
    for logprobs_K in run.logprobs:
        drawn_N = torch.multinomial(logprobs_K.exp(), SAMPLES, replacement=True, generator=generator)
        kl_N = (logprobs_K - world.ref_logprobs_K)[drawn_N]
        parts.append(torch.stack([kl_N, world.proxy_K[drawn_N], world.gold_K[drawn_N]]).numpy())
    kl_N, proxy_N, gold_N = np.concatenate(parts, axis=1)
    count = len(kl_N)
    return RunSamples(
        name="exact", folder=Path(), made_by="", reward="", rows=[{}] * count,
        iteration_N=np.repeat(np.arange(len(parts)), SAMPLES), prompt_N=np.arange(count).astype(str),
        kl_nats_N=kl_N, proxy_N=proxy_N, truth_N=gold_N, tokens_N=np.ones(count), finished_N=np.ones(count, dtype=bool),
    )  # fmt: skip
