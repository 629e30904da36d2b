"""Intervals of values that hang together by seed and by prompt."""

import math

import numpy as np
import pytest

from palate.evaluation.crossed import apart, crossed_mean
from palate.evaluation.statistics import Figure, mean, proportion


def test_it_holds_the_truth_where_one_way_alone_does_not():
    """60 data sets with an effect of the seed and one of the prompt: at least 54 of 60 must hold the truth; a 95 %
    interval misses 7 or more of 60 with a chance of 3 %, and one that is wider than needed with less. Clusters of
    prompts alone miss the effect of the seed."""
    rng = np.random.default_rng(3)
    held = alone = 0
    for _ in range(60):
        seeds, prompts = rng.normal(0, 1, 12), rng.normal(0, 0.5, 30)
        table = seeds[:, None] + prompts[None] + rng.normal(0, 0.5, (12, 30))
        ones, others = np.indices(table.shape)
        found = crossed_mean(table.ravel().tolist(), ones.ravel().tolist(), others.ravel().tolist())
        one_way = mean(table.ravel().tolist(), others.ravel().tolist())
        held += found.low <= 0 <= found.high
        alone += one_way.low <= 0 <= one_way.high
    assert held >= 54
    assert alone < 40


def test_the_value_is_the_mean_and_unequal_lengths_are_refused():
    found = crossed_mean([1.0, 0.0, 0.0, 1.0, 1.0], "aabbb", "xyxyy")
    assert found.value == pytest.approx(0.6)
    assert found.low <= 0.6 <= found.high
    assert math.isnan(crossed_mean([], [], []).value)
    with pytest.raises(ValueError, match="clusters"):
        crossed_mean([1.0], "a", "")


def test_shares_apart_by_hand():
    found = apart(Figure(0.1, 0.05, 0.2, 100), Figure(0.2, 0.12, 0.3, 100))
    assert found.value == pytest.approx(-0.1)
    assert found.high == pytest.approx(-0.1 + math.hypot(0.1, 0.08))
    assert found.low == pytest.approx(-0.1 - math.hypot(0.05, 0.1))
    never = apart(proportion(0, 100), proportion(0, 100))
    assert never.low < 0 < never.high
