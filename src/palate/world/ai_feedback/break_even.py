"""How often a judge must be right for its labels to be worth what people's are, from runs with judges of every quality.

Shapes: `N` runs, each of one judge; `J` groups of runs whose judges are about as often right; `S` seeds, whose runs
share a world and are drawn together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import DataError
from palate.evaluation.statistics import Figure

GROUPS: Final = 12
_DRAWS: Final = 2000


class BreakEven(NamedTuple):
    """Where the lead over people turns from below 0 to above."""

    figure: Figure
    """The accuracy, with a 95 % interval by a bootstrap over seeds."""
    side: str
    """Empty; or, where the lead never changes its sign, `at most` (judges were ahead even where they were the least
    often right) or `at least` (they never were): the figure is then the end of what was measured."""
    open: float
    """Share of the draws in which it did not change; each counts as the end that it lies beyond."""


def break_even(
    accuracy: Sequence[float],
    lead: Sequence[float],
    seeds: Sequence[object],
    *,
    groups: int = GROUPS,
    seed: int = 0,
) -> BreakEven:
    """The accuracy from which on judges are ahead.

    Runs are put into groups of equal size by accuracy. The mean lead of groups is made to rise, by pooling neighbours
    that fall (isotonic regression), and the crossing lies on the straight line between two of them.

    Args:
        accuracy: Of the judge of each run, as measured.
        lead: How much more than people's labels its own were worth.
        seeds: Of the runs; runs of one seed are drawn together.
        groups: J, at most as many as there are runs.
        seed: Of the draws.

    Raises:
        DataError: there is no run.

    Source:
        Isotonic regression by pooling adjacent violators: Ayer et al. 1955.
    """
    if not len(accuracy):
        raise DataError("there is no run to look for a break-even in", expected="at least one")
    accuracy_N, lead_N = np.asarray(accuracy, dtype=float), np.asarray(lead, dtype=float)
    index = {key: place for place, key in enumerate(dict.fromkeys(seeds))}
    seed_N = np.array([index[key] for key in seeds])
    size_SJ, accuracy_SJ, lead_SJ = (np.zeros((len(index), min(groups, len(accuracy_N)))) for _ in range(3))
    for j, some in enumerate(np.array_split(np.argsort(accuracy_N, kind="stable"), size_SJ.shape[1])):
        np.add.at(size_SJ[:, j], seed_N[some], 1.0)
        np.add.at(accuracy_SJ[:, j], seed_N[some], accuracy_N[some])
        np.add.at(lead_SJ[:, j], seed_N[some], lead_N[some])

    def crossing(weights_S: np.ndarray) -> tuple[float, str]:
        size_J = weights_S @ size_SJ
        there = size_J > 0
        size_J = size_J[there]
        return cross((weights_S @ accuracy_SJ)[there] / size_J, (weights_S @ lead_SJ)[there] / size_J, size_J)

    rng = np.random.default_rng(seed)
    count = len(index)
    drawn = [crossing(weights_S) for weights_S in rng.multinomial(count, np.full(count, 1 / count), size=_DRAWS)]
    value, side = crossing(np.ones(count))
    low, high = np.quantile([at for at, _ in drawn], [0.025, 0.975])
    beyond = sum(bool(told) for _, told in drawn) / len(drawn)
    return BreakEven(Figure(value, min(float(low), value), max(float(high), value), len(accuracy_N)), side, beyond)


def cross(at_J: np.ndarray, lead_J: np.ndarray, weights_J: np.ndarray) -> tuple[float, str]:
    """Where a lead, made to rise, passes 0; at an end, and on which side, where it does not."""
    rising_J = rising(lead_J, weights_J)
    if rising_J[0] >= 0:
        return float(at_J[0]), "at most"
    if rising_J[-1] < 0:
        return float(at_J[-1]), "at least"
    above = int(np.argmax(rising_J >= 0))
    part = -rising_J[above - 1] / (rising_J[above] - rising_J[above - 1])
    return float(at_J[above - 1] + part * (at_J[above] - at_J[above - 1])), ""


def rising(values_J: np.ndarray, weights_J: np.ndarray) -> np.ndarray:
    """The nearest numbers, by weighted squares, that do not fall."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values_J.tolist(), weights_J.tolist(), strict=True):
        count = 1
        while pools and pools[-1][0] > value:
            before, more, many = pools.pop()
            value = (before * more + value * weight) / (more + weight)
            weight, count = weight + more, count + many
        pools.append((value, weight, count))
    return np.repeat([value for value, _, _ in pools], [count for _, _, count in pools])
