"""Where a judge is level with people: known on curves that were made up, and covered by its interval."""

import numpy as np
import pytest

from palate.core.errors import DataError
from palate.world.ai_feedback.break_even import break_even, cross, rising


def test_a_rising_line_crosses_where_it_does():
    accuracy = np.linspace(0.55, 0.95, 401)
    found = break_even(accuracy, accuracy - 0.72, range(401))
    assert found.figure.value == pytest.approx(0.72, abs=1e-9)  # groups of a line lie on the line
    assert found.figure.low <= 0.72 <= found.figure.high
    assert (found.side, found.open, found.figure.n) == ("", 0, 401)


def test_who_is_always_or_never_ahead_has_a_bound_and_no_break_even():
    accuracy = np.linspace(0.6, 0.9, 24)
    always, never = (break_even(accuracy, [lead] * 24, range(24)) for lead in (0.1, -0.1))
    assert (always.side, always.open, never.side, never.open) == ("at most", 1, "at least", 1)
    assert always.figure.value < 0.62
    assert never.figure.value > 0.88


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    inside = 0
    for draw in range(60):
        of_seed, seeds = rng.normal(0, 0.03, 30), np.repeat(np.arange(30), 6)
        accuracy = rng.uniform(0.55, 0.95, 180)
        lead = (accuracy - 0.75) * 0.5 + of_seed[seeds] + rng.normal(0, 0.02, 180)
        found = break_even(accuracy, lead, seeds.tolist(), seed=draw).figure
        inside += found.low <= 0.75 <= found.high
    assert inside >= 50  # 57 expected; fewer than 50 by chance once in 2,000


def test_runs_of_one_seed_are_drawn_together():
    rng = np.random.default_rng(2)
    accuracy = rng.uniform(0.55, 0.95, 200)
    lead = accuracy - 0.75 + np.repeat(rng.normal(0, 0.1, 10), 20)
    together = break_even(accuracy, lead, np.repeat(np.arange(10), 20).tolist()).figure
    apart = break_even(accuracy, lead, range(200)).figure
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_falls_are_pooled():
    assert rising(np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0])).tolist() == [1, 2.25, 2.25, 4]
    assert cross(np.array([0.6, 0.7, 0.8]), np.array([-1.0, 1.0, 3.0]), np.ones(3))[0] == pytest.approx(0.65)


def test_no_run_is_refused():
    with pytest.raises(DataError, match="no run"):
        break_even([], [], [])
