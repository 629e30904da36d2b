"""Is what influence says of a judgement what training again without it comes to, and does it find what was planted?

| name | what it averages |
|---|---|
| `influence/corr_head` | correlation of the predicted change of the held-out loss with that of a head trained again without the row; 60 rows a reward model, mean over reward models |
| `influence/corr_head/rater` | the same for all judgements of a rater at once, 20 a reward model |
| `influence/corr_head/margin` | as the first, of the margin of one held-out pair |
| `influence/corr_full` | rank correlation of the predicted change of the held-out loss with that of a reward model trained again from the same beginning, in the same order, without a group of 10 to 50 judgements |
| `influence/corr_full/<kind>` | the same among groups of one kind: a rater's, drawn at random, or about the same letters |
| `influence/corr_full/pearson` | the same as a plain correlation |
| `influence/corr_full/margin` | rank correlation over the same groups for the margin of a held-out pair; mean over 40 pairs |
| `influence/corr_full/single` | as `corr_full`, of single judgements |
| `influence/corr_full/fine_tuned` | as `corr_full`, for a transformer that is trained whole, of which the last layer is a small part |
| `influence/mislabel_recall` | share of planted wrong labels (5 %) among the 10 % of judgements that surprise most, where all others are right |
| `influence/mislabel_recall/by_loss` | the same among the 10 % that harm the held-out loss most |
| `influence/mislabel_recall/natural` | recall of planted wrong labels among those of careful people, over that of a ranking by gold |
| `influence/mislabel_recall/natural/recall` | that recall itself |
| `influence/mislabel_recall/natural/by_loss` | the same among the 10 % that harm the held-out loss most |
| `influence/mislabel_recall/ceiling` | recall of the ranking by gold there: how much against gold a verdict is |
| `influence/inverted_rater` | share of seeds in which, of 20 raters, the one whose verdicts are inverted has the highest mean surprise |
| `influence/inverted_rater/by_loss` | the same by the harm that all judgements of a rater together do to the held-out loss |
| `influence/mislabel_recall/labels_right` | how often a label that was not planted is right by gold, at natural noise |

Reward models are those of `palate train reward --head pooled` (6 epochs, 2e-3, 64 prompts a step) on a transformer of
30,000 parameters that read 3,000 answers; each learns from 1,500 comparisons where a rater is inverted, and from 1,200
in `corr_full`. Where wrong labels are planted it is one of 170,000 parameters that read 10,000 answers, and learns from
8,000 comparisons in 12 epochs: what finds wrong labels is a reward model that is right. Answers are of letters
(`scripts.rounds.letters`), one judgement each. Held-out rows have the same noise, planted labels and inverted
rater among them. In `corr_full` 40 raters judge 10 to 50 each; 28 are careful, 8 throw coins and 4 are inverted; a
judgement is taken out by a weight of 1e-9, which leaves the order of the rest as it was. Losses of a reward model are
at the temperature of the whole one.

Settings were chosen on pilot worlds (other labels of seeds): the price 1 of the head, by `corr_full` in three worlds,
among .03 to 100; that held-out losses are taken at the head's best temperature (rank correlation .87 and not .79 in the
pilot of this setting); and surprise as what wrong labels and raters are found by. By the harm to the held-out loss, an
inverted rater is no outlier: what 5 % of inverted verdicts change is mostly the scale of a reward, and that is free.
Surprise is the loss of a judgement under the head that never saw it (Koh and Liang 2017, arXiv:1703.04730, section
5.4, rank wrong labels by how much of it having seen them saves). Intervals: of means over worlds Student's, of shares Wilson's, of
correlations over groups a bootstrap over groups.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes share two cores

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from scripts.evaluation.rows import row, share
from scripts.rounds.planted import Told, look_at
from scripts.rounds.retraining import KINDS, PAIRS, PARTS, Removed, removed
from scripts.rounds.small_rewards import correlation, rank_correlation

from palate.core.ids import derive_seed
from palate.evaluation import charts
from palate.evaluation.statistics import Figure, over_seeds

WORLDS: Final = {"clear": 6, "natural": 8, "inverted": 12}
_DRAWS: Final = 1000
PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "influence.svg"


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    label = "influence, enough rows"
    planted = [(task, derive_seed(seed, label, task, n)) for task, count in WORLDS.items() for n in range(count)]
    with ProcessPoolExecutor(2) as pool:
        parts = [pool.submit(removed, derive_seed(seed, "influence", "full"), part) for part in range(PARTS)]
        told = list(pool.map(look_at, planted))
        groups = [one for part in parts for one in part.result()]
    draw([one for one in groups if one.kind in KINDS])
    return [*planted_rows(told), *full_rows(groups, seed)]


def planted_rows(told: Sequence[Told]) -> list[dict[str, Any]]:
    """Of worlds in which something was planted, and of heads that were trained again there."""

    def every(task: str, name: str) -> list[float]:
        return [one.found[name] for one in told if one.task == task]

    def mean(name: str, task: str, what: str) -> dict[str, Any]:
        values = every(task, what)
        return row(name, over_seeds(values), seeds=len(values))

    ours, best = np.array(every("natural", "surprise")), np.array(every("natural", "gold"))
    return [
        mean("influence/corr_head", "natural", "row"),
        mean("influence/corr_head/rater", "natural", "rater"),
        mean("influence/corr_head/margin", "natural", "margin"),
        mean("influence/mislabel_recall", "clear", "surprise"),
        mean("influence/mislabel_recall/by_loss", "clear", "loss"),
        row("influence/mislabel_recall/natural", ratio(ours, best), seeds=len(ours)),
        mean("influence/mislabel_recall/natural/recall", "natural", "surprise"),
        mean("influence/mislabel_recall/natural/by_loss", "natural", "loss"),
        mean("influence/mislabel_recall/ceiling", "natural", "gold"),
        mean("influence/mislabel_recall/labels_right", "natural", "right"),
        row("influence/inverted_rater", share(x == 1 for x in every("inverted", "surprise")), WORLDS["inverted"]),
        row(
            "influence/inverted_rater/by_loss",
            share(x == 1 for x in every("inverted", "loss")),
            WORLDS["inverted"],
        ),
    ]


def full_rows(groups: Sequence[Removed], seed: int) -> list[dict[str, Any]]:
    """Of reward models that were trained again."""
    main = [one for one in groups if one.kind in KINDS]
    out = [
        row("influence/corr_full", over_groups(rank_correlation, main, seed)),
        row("influence/corr_full/pearson", over_groups(correlation, main, seed)),
    ]
    for kind in (*KINDS, "single", "fine_tuned"):
        some = [one for one in groups if one.kind == kind]
        out.append(row(f"influence/corr_full/{kind}", over_groups(rank_correlation, some, seed)))
    pairs = [rank_correlation(*zip(*(one.margins[pair] for one in main), strict=True)) for pair in range(PAIRS)]
    return [*out, row("influence/corr_full/margin", over_seeds(pairs))]


def over_groups(measure: Any, some: Sequence[Removed], seed: int) -> Figure:
    """A correlation of what was predicted and what came, with a bootstrap interval over groups."""
    both = np.array([[one.predicted, one.actual] for one in some])
    rng = np.random.default_rng(derive_seed(seed, "groups", len(some)))
    draws = [measure(*both[rng.integers(len(both), size=len(both))].T) for _ in range(_DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(measure(*both.T), float(low), float(high), len(some))


def ratio(above: np.ndarray, below: np.ndarray) -> Figure:
    """Of means, with a bootstrap interval over worlds."""
    drawn = np.random.default_rng(0).integers(len(above), size=(_DRAWS, len(above)))
    low, high = np.quantile(above[drawn].sum(1) / below[drawn].sum(1), [0.025, 0.975])
    return Figure(float(above.sum() / below.sum()), float(low), float(high), len(above))


def draw(main: Sequence[Removed]) -> None:
    """`docs/pictures/influence.svg`: what was predicted of each group, and what came."""
    names = {"rater": "all that one rater said", "random": "drawn at random", "letters": "about the same letters"}
    lines = [
        charts.Line(
            names[kind],
            [1000 * one.predicted for one in main if one.kind == kind],
            [1000 * one.actual for one in main if one.kind == kind],
            dots=True,
        )
        for kind in KINDS
    ]
    svg = charts.curves(
        lines, title="Taken out, and trained again without", x="predicted change of the held-out loss, 1/1000 nats",
        y="after training again",
    )  # fmt: skip
    PICTURE.write_text(charts.standalone(svg), encoding="utf-8")
