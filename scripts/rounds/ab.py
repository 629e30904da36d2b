"""A/B tests that are looked at after every person: do they keep their promise, and what does looking cost?

| name | what it averages |
|---|---|
| `ab/false_positive` | share of tests of two equal releases whose interval ever excludes 0, looked at after every person up to the planned number, where a test ends; over all settings |
| `ab/false_positive/<setting>` | of one setting |
| `ab/false_positive/four_times` | over all settings, had each test gone on to four times the planned number |
| `ab/power` | share of tests in which the planned difference is true that have found it by the planned number of people; over all settings |
| `ab/power/<setting>` | of one setting |
| `ab/power_planned` | what was planned |
| `ab/people` | people that are planned, over those of a test that is looked at once, at its end; mean over settings, from and to: the least and the most |
| `ab/median_stop` | people after which half of the tests of a true difference are over, over those of a test that is looked at once; mean, least and most over settings |
| `ab/coverage` | share of tests, with and without a difference, whose intervals all hold it, up to four times the planned number |
| `ab/fixed_peeking` | as `ab/false_positive`, of the usual 95 % interval of a difference of means, looked at after every person from the 20th on |
| `ab/srm_false` | share of tests, split as planned by the server's own hash, with an alarm about the split among 4,000 people |
| `ab/srm_found` | share of tests with an alarm among 4,000 people, where 55 of 100 come to the new release instead of 50 |
| `ab/srm_found_after` | people until the alarm, median and middle half of those with one |

Settings: `coins`, yes and no with a baseline of one half, a difference of 10 points; `thumbs`, a mean of .5 and a deviation
of .15 between people, 4 points; `kept`, .9 and .2, 5 points, with the new release for 3 of 10 people; `drift`, as
`coins`, while the baseline goes up and down by 20 points as people come; `pairs`, shares of pairs won with a deviation
of .4, 10 points. Bets, the imagined people and the prior of the split were chosen on seeds of other names (docs/log.md).
Intervals: Wilson's 95 %.
"""  # noqa: E501

from __future__ import annotations

import math
from statistics import fmean
from typing import Any, Final, NamedTuple

import numpy as np
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.evaluation import anytime
from palate.evaluation.anytime import Design
from palate.evaluation.statistics import Figure, proportion
from palate.serving import trial

RUNS: Final = 2000
"""Tests a setting, of two equal releases and of two that differ as planned each."""
HORIZON: Final = 4
SPLIT_PEOPLE: Final = 4000
SPLITS: Final = 1000
_AT_ONCE: Final = 250
"""Tests in memory together."""


class Setting(NamedTuple):
    """What is simulated."""

    name: str
    design: Design
    drift: float = 0.0
    """The baseline goes up and down by this."""


SETTINGS: Final = (
    Setting("coins", Design(difference=0.1)),
    Setting("thumbs", Design(difference=0.04, spread=0.15)),
    Setting("kept", Design(difference=0.05, baseline=0.9, spread=0.2, share=0.3)),
    Setting("drift", Design(difference=0.1), 0.2),
    Setting("pairs", Design(difference=0.1, spread=0.4, paired=True)),
)


class Came(NamedTuple):
    """What a setting's tests came to."""

    false: int
    later: int
    """Had the test gone on."""
    found: int
    held: int
    peeked: int
    stops: list[int]
    """People until a true difference was found; those who never did, the planned number."""
    size: anytime.Size


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    came = {setting.name: _setting(setting, seed) for setting in SETTINGS}
    n = RUNS * len(came)
    medians = [float(np.median(one.stops)) / one.size.fixed for one in came.values()]
    people = [one.size.people / one.size.fixed for one in came.values()]
    planned = fmean(setting.design.power for setting in SETTINGS)
    return [
        row("ab/false_positive", proportion(sum(one.false for one in came.values()), n)),
        *(row(f"ab/false_positive/{name}", proportion(one.false, RUNS)) for name, one in came.items()),
        row("ab/false_positive/four_times", proportion(sum(one.later for one in came.values()), n)),
        row("ab/power", proportion(sum(one.found for one in came.values()), n)),
        *(row(f"ab/power/{name}", proportion(one.found, RUNS)) for name, one in came.items()),
        row("ab/power_planned", Figure(planned, planned, planned, len(came))),
        row("ab/people", Figure(fmean(people), min(people), max(people), len(people))),
        row("ab/median_stop", Figure(fmean(medians), min(medians), max(medians), n)),
        row("ab/coverage", proportion(sum(one.held for one in came.values()), 2 * n)),
        row("ab/fixed_peeking", proportion(sum(one.peeked for one in came.values()), n - RUNS)),
        *_splits(seed),
    ]


def _setting(setting: Setting, seed: int) -> Came:
    design, rng = setting.design, np.random.default_rng(derive_seed(seed, "A/B tests, judged", setting.name))
    size = anytime.size(design)
    false = later = found = held = peeked = 0
    stops: list[int] = []
    for _ in range(0, RUNS, _AT_ONCE):
        for truth in (0.0, design.difference):
            outcome_N, treated_N = _drawn(rng, setting, truth, HORIZON * size.people)
            said = anytime.told(outcome_N, treated_N, design)
            held += int((~anytime.refused(anytime.capital(said, design, truth), design)[:, -1]).sum())
            gone_N = anytime.refused(anytime.capital(said, design), design)
            if truth:
                gone_N = gone_N[:, : size.people]
                found += int(gone_N[:, -1].sum())
                stops += np.where(gone_N[:, -1], gone_N.argmax(axis=1) + 1, size.people).tolist()
            else:
                false += int(gone_N[:, size.people - 1].sum())
                later += int(gone_N[:, -1].sum())
                if not design.paired:
                    peeked += int(_plain(outcome_N[:, : size.people], treated_N[:, : size.people]).sum())
    return Came(false, later, found, held, peeked, stops, size)


def _drawn(rng: np.random.Generator, setting: Setting, truth: float, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of some tests and who was treated; a row a test."""
    design, shape = setting.design, (_AT_ONCE, people)
    treated_N = rng.random(shape) < design.share
    wave_N = setting.drift * np.sin(np.arange(people) / 100)
    mean_N = design.baseline + wave_N + truth * (treated_N | design.paired)
    return anytime.outcomes(rng, mean_N, design.spread), treated_N


def _plain(outcome_N: np.ndarray, treated_N: np.ndarray) -> np.ndarray:
    """Whether the usual 95 % interval ever excludes 0."""
    squares, means = [], []
    for who_N in (treated_N, ~treated_N):
        count_N = np.maximum(np.cumsum(who_N, axis=1), 1)
        mean_N = np.cumsum(who_N * outcome_N, axis=1) / count_N
        means.append(mean_N)
        squares.append((np.cumsum(who_N * outcome_N**2, axis=1) / count_N - mean_N**2) / count_N)
    away_N = np.abs(means[0] - means[1]) / np.sqrt(np.maximum(squares[0] + squares[1], 1e-12))
    return np.asarray((away_N[:, 20:] > 1.959964).any(axis=1))


def _splits(seed: int) -> list[dict[str, Any]]:
    alarm = math.log(1 / anytime.FALSE_ALARM)
    names = [f"person {derive_seed(seed, 'people', number)}" for number in range(SPLIT_PEOPLE)]
    false = 0
    for number in range(SPLITS):
        test = f"test {derive_seed(seed, 'tests', number)}"
        treated_N = np.array([trial.place(test, name) >= 0.5 for name in names])
        false += bool(anytime.mismatch(treated_N, 0.5)[-1] >= alarm)
    rng = np.random.default_rng(derive_seed(seed, "wrong splits"))
    made_N = anytime.mismatch(rng.random((SPLITS, SPLIT_PEOPLE)) < 0.55, 0.5) >= alarm
    after = made_N[made_N[:, -1]].argmax(axis=1) + 1
    low, middle, high = (float(one) for one in np.quantile(after, (0.25, 0.5, 0.75)))
    return [
        row("ab/srm_false", proportion(false, SPLITS)),
        row("ab/srm_found", proportion(int(made_N[:, -1].sum()), SPLITS)),
        row("ab/srm_found_after", Figure(middle, low, high, len(after))),
    ]
