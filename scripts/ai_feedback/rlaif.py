"""What labels of a model are worth beside people's, by how often the model is right, where gold is exact.

| name | what it averages |
|---|---|
| `rlaif/win_rate/<accuracy>` | gold win rate over the reference of a policy whose reward model learned from 5,000 labels of a judge that is right so often (within .025); mean over judges |
| `rlaif/gold_gain/<accuracy>` | the same in gold, in its standard deviations under the reference |
| `rlaif/direct/win_rate/<accuracy>` | gold win rate of a policy that pursues the judge's own score |
| `rlaif/human/win_rate` | gold win rate of a policy whose reward model learned from 500 labels of people |
| `rlaif/human/win_rate/labels=<n>` | the same for other numbers of labels |
| `rlaif/human/gold_gain` | the same as the first, in gold |
| `rlaif/human/label_accuracy` | how often one label of a person takes the better by gold |
| `rlaif/human/agreement` | how often two people say the same of a pair |
| `rlaif/human/reward_model_accuracy` | how often the reward model of 500 labels of people is right |
| `rlaif/break_even_accuracy` | judge accuracy at which 5,000 of its labels bring the win rate of 500 of people's (10 for the price of one) |
| `rlaif/break_even_agreement` | the same as the judge's agreement with a person, less that of two people, which can be seen where gold is not known |
| `rlaif/break_even_accuracy/labels=<n>` | the same against other numbers of people's labels, 10 for one |
| `rlaif/break_even_accuracy/ratio=<r>` | the same against 500 labels of people, r for one |
| `rlaif/break_even_accuracy/kl=<nats>` | the same at another KL |
| `rlaif/break_even_accuracy/<sight>` | the same for judges of one sight alone |
| `rlaif/direct/break_even_accuracy` | judge accuracy at which its score itself brings the win rate of 500 labels of people |
| `rlaif/hard/break_even_accuracy` | as the first, but the judge says only which is better and not how surely |
| `rlaif/careless/break_even_accuracy` | accuracy at which 5,000 labels of careless people, whose errors are coins, bring it |
| `rlaif/careless/win_rate/<accuracy>` | gold win rate with 5,000 such labels |
| `rlaif/break_even_open` | share of the bootstrap's draws in which canonical RLAIF is never level with people, or always ahead |
| `rlaif/cost_ratio` | labels of a judge for the price of one of people's: an input, nothing measured |

Worlds of 87,381 answers (`palate.world.exact.rlaif`), families whose gold has no bend. A judge is a Bradley-Terry model
trained on 4 to 20,000 labels of its own, which sees letters, pairs or triples; its labels are probabilities; its own
schooling is paid for by nobody here. All policies are exact tilts at 2 nats. The settings were chosen on four pilot
seeds. A break-even whose row has `bound` was not met: it is `at most` or `at least` the value. Intervals: bootstrap
over seeds.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes share two cores

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.evaluation import charts
from palate.evaluation.statistics import Figure, mean
from palate.world.ai_feedback.break_even import break_even
from palate.world.exact import rlaif
from palate.world.exact.answers import SIGHTS
from palate.world.exact.gaming import BENIGN, World, build
from palate.world.exact.rlaif import Gold, Outcome, Schooling

WORLDS: Final = 20
"""Of each family."""
RATIO: Final = 10
LABELS: Final = (50, 150, 500, 1500)
"""Of people."""
MAIN: Final = 500
KLS: Final = (2.0, 6.0)
"""The first is the main one."""
SCHOOLINGS: Final = (
    *(Schooling("letters", n) for n in (4, 12, 40, 1000)),
    *(Schooling("pairs", n) for n in (4, 8, 12, 30, 80, 250, 1000)),
    *(Schooling("triples", n) for n in (6, 12, 30, 300, 3000, 20_000)),
)
CARES: Final = (0.05, 0.1, 0.15, 0.2, 0.4, 0.8, 1.6)
ACCURACIES: Final = tuple(0.55 + 0.05 * step for step in range(9))
_WIDTH: Final = 0.05
PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "rlaif.svg"


class Ran(NamedTuple):
    """What labels of one kind came to in one world."""

    seed: int
    arm: str
    """`people`, `people rm`, `canonical`, `hard`, `direct` or `careless`."""
    sees: str
    accuracy: float
    """Of one label, people's too; of the reward model itself in `people rm`."""
    agreement: float
    """With a person, of a judge less that of two people."""
    labels: int
    kl: float
    found: Outcome


class Lead(NamedTuple):
    """A judge's run beside people's of the same world."""

    ours: Ran
    lead: float


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    tasks = [(family, derive_seed(seed, "rlaif", family, number)) for family in BENIGN for number in range(WORLDS)]
    with ProcessPoolExecutor(2) as pool:
        found = [one for some in pool.map(run, tasks) for one in some]
    draw(found)
    return rows(found)


def run(task: tuple[str, int]) -> list[Ran]:
    """All arms in one world."""
    torch.set_num_threads(1)
    family, seed = task
    world = build(family, seed)
    gold, tested = Gold(world), rlaif.pairs_of(world, rlaif.TESTED, derive_seed(seed, "tested"))
    asked = rlaif.pairs_of(world, RATIO * max(LABELS), derive_seed(seed, "asked"))
    some, alike = asked.upto(RATIO * MAIN), rlaif.alike(world, tested)
    found = _people(world, gold, tested, seed)

    def note(arm: str, sees: str, quality: tuple[float, float], labels: int, rewards_K: torch.Tensor) -> None:
        for kl in KLS if labels == RATIO * MAIN else KLS[:1]:
            found.append(Ran(seed, arm, sees, *quality, labels, kl, gold.outcome(rewards_K, kl)))

    for schooling in SCHOOLINGS:
        judge = rlaif.train_judge(world, schooling, seed)
        quality, said_N = (judge.accuracy, judge.agreement - alike), rlaif.labels_of(judge, asked)
        note("direct", schooling.sees, quality, 0, judge.scores_K)
        for count in (RATIO * labels for labels in LABELS):
            note("canonical", schooling.sees, quality, count, rlaif.reward_model(asked.upto(count), said_N[:count]))
        hard_N = 0.5 * (1 + (said_N[: RATIO * MAIN] - 0.5).sign())
        note("hard", schooling.sees, quality, RATIO * MAIN, rlaif.reward_model(some, hard_N))
    for care in CARES:
        quality = rlaif.expected_accuracy(world, tested, care), float("nan")
        verdicts_N = rlaif.people(world, some, derive_seed(seed, "careless", care), care)
        note("careless", "", quality, RATIO * MAIN, rlaif.reward_model(some, verdicts_N))
    return found


def _people(world: World, gold: Gold, tested: rlaif.Pairs, seed: int) -> list[Ran]:
    """People's labels; besides, as `people rm`, how often the reward model is right that learned from them."""
    shown = rlaif.pairs_of(world, max(LABELS), derive_seed(seed, "shown"))
    told_N = rlaif.people(world, shown, derive_seed(seed, "shown"))
    right, same = rlaif.expected_accuracy(world, tested), rlaif.alike(world, tested)
    found = []
    for labels in LABELS:
        scores_K = rlaif.reward_model(shown.upto(labels), told_N[:labels])
        itself = rlaif.accuracy(world, scores_K, tested), rlaif.agreement(world, scores_K, tested)
        for kl in KLS if labels == MAIN else KLS[:1]:
            outcome = gold.outcome(scores_K, kl)
            found.append(Ran(seed, "people", "", right, same, labels, kl, outcome))
            found.append(Ran(seed, "people rm", "", *itself, labels, kl, outcome))
    return found


def rows(found: Sequence[Ran]) -> list[dict[str, Any]]:
    """Figures of all runs."""
    human = chosen(found, "people", MAIN)
    out = [
        over_worlds("rlaif/human/win_rate", human, [one.found.win_rate for one in human]),
        over_worlds("rlaif/human/gold_gain", human, [one.found.gain for one in human]),
        over_worlds("rlaif/human/label_accuracy", human, [one.accuracy for one in human]),
        over_worlds("rlaif/human/agreement", human, [one.agreement for one in human]),
    ]
    itself = chosen(found, "people rm", MAIN)
    out.append(over_worlds("rlaif/human/reward_model_accuracy", itself, [one.accuracy for one in itself]))
    for labels in LABELS:
        some = chosen(found, "people", labels)
        name = f"rlaif/human/win_rate/labels={labels}"
        out.append(over_worlds(name, some, [one.found.win_rate for one in some]))
    for arm, name in (("canonical", "rlaif"), ("direct", "rlaif/direct"), ("careless", "rlaif/careless")):
        for at, some in by_accuracy(chosen(found, arm, 0 if arm == "direct" else RATIO * MAIN)):
            out.append(over_worlds(f"{name}/win_rate/{at:.2f}", some, [one.found.win_rate for one in some]))
            if arm == "canonical":
                out.append(over_worlds(f"{name}/gold_gain/{at:.2f}", some, [one.found.gain for one in some]))
    return [*out, *_break_evens(found), row("rlaif/cost_ratio", Figure(RATIO, RATIO, RATIO, 1))]


def _break_evens(found: Sequence[Ran]) -> list[dict[str, Any]]:
    main = leads(found, "canonical", RATIO * MAIN)
    out = [
        met("rlaif/break_even_accuracy", main),
        met("rlaif/break_even_agreement", main, agreement=True),
        met("rlaif/direct/break_even_accuracy", leads(found, "direct", 0)),
        met("rlaif/hard/break_even_accuracy", leads(found, "hard", RATIO * MAIN)),
        met("rlaif/careless/break_even_accuracy", leads(found, "careless", RATIO * MAIN)),
    ]
    for labels in LABELS:
        if labels != MAIN:
            told = leads(found, "canonical", RATIO * labels, labels)
            out.append(met(f"rlaif/break_even_accuracy/labels={labels}", told))
            more = leads(found, "canonical", RATIO * labels)
            out.append(met(f"rlaif/break_even_accuracy/ratio={labels * RATIO // MAIN}", more))
    for kl in KLS[1:]:
        out.append(met(f"rlaif/break_even_accuracy/kl={kl:g}", leads(found, "canonical", RATIO * MAIN, kl=kl)))
    for sees in SIGHTS:
        out.append(met(f"rlaif/break_even_accuracy/{sees}", [one for one in main if one.ours.sees == sees]))
    whole = break_even(*_columns(main))
    share = Figure(whole.open, whole.open, whole.open, whole.figure.n)
    return [*out, row("rlaif/break_even_open", share, seeds=_seeds([one.ours for one in main]))]


def chosen(found: Sequence[Ran], arm: str, labels: int, kl: float = KLS[0]) -> list[Ran]:
    """Runs of an arm with so many labels."""
    return [one for one in found if (one.arm, one.labels, one.kl) == (arm, labels, kl)]


def leads(found: Sequence[Ran], arm: str, count: int, labels: int = MAIN, kl: float = KLS[0]) -> list[Lead]:
    """Win rates of an arm with `count` labels, less that of `labels` labels of people in the same world."""
    theirs = {one.seed: one.found.win_rate for one in chosen(found, "people", labels, kl)}
    return [Lead(one, one.found.win_rate - theirs[one.seed]) for one in chosen(found, arm, count, kl)]


def met(name: str, told: Sequence[Lead], *, agreement: bool = False) -> dict[str, Any]:
    """The row of a break-even; with `bound` where it was not met."""
    found = break_even(*_columns(told, agreement=agreement))
    out = row(name, found.figure, seeds=_seeds([one.ours for one in told]))
    return {**out, "bound": found.side} if found.side else out


def _columns(told: Sequence[Lead], *, agreement: bool = False) -> tuple[list[float], list[float], list[int]]:
    quality = [one.ours.agreement if agreement else one.ours.accuracy for one in told]
    return quality, [one.lead for one in told], [one.ours.seed for one in told]


def by_accuracy(some: Sequence[Ran]) -> list[tuple[float, list[Ran]]]:
    """Runs by the accuracy that theirs is nearest to; where there is none, nothing."""
    parts = [(at, [one for one in some if abs(one.accuracy - at) <= _WIDTH / 2]) for at in ACCURACIES]
    return [(at, part) for at, part in parts if part]


def over_worlds(name: str, some: Sequence[Ran], values: Sequence[float]) -> dict[str, Any]:
    """Runs of one world hang together."""
    return row(name, mean(values, [one.seed for one in some]), seeds=_seeds(some))


def _seeds(some: Sequence[Ran]) -> int:
    return len({one.seed for one in some})


def draw(found: Sequence[Ran]) -> None:
    """`docs/pictures/rlaif.svg`: win rate by accuracy, for errors of belief and for coins, beside people's."""
    lines = []
    for label, arm in (("5,000 labels of a judge", "canonical"), ("5,000 of careless people", "careless")):
        parts = by_accuracy(chosen(found, arm, RATIO * MAIN))
        told = [mean([one.found.win_rate for one in some], [one.seed for one in some]) for _, some in parts]
        x, y = [at for at, _ in parts], [one.value for one in told]
        lines.append(charts.Line(label, x, y, [one.low for one in told], [one.high for one in told]))
    human = mean([one.found.win_rate for one in chosen(found, "people", MAIN)]).value
    lines.append(charts.Line("500 of careful people", list(ACCURACIES), [human] * len(ACCURACIES)))
    svg = charts.curves(
        lines, title="What a label is worth", x="how often it is right", y="gold win rate over the reference"
    )
    PICTURE.write_text(charts.standalone(svg), encoding="utf-8")
