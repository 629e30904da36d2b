"""One reward from several."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.functional.ensemble import (
    mean_reward,
    pessimistic_reward,
    uncertainty_weighted_reward,
    worst_case_reward,
)

SCORES = tensor([[1.0, 0.0, -2.0], [3.0, 0.0, 5.0], [2.0, 0.0, 0.0]], dtype=torch.float64)


def test_by_hand():
    assert_close(mean_reward(SCORES), tensor([2.0, 0.0, 1.0], dtype=torch.float64))
    assert_close(worst_case_reward(SCORES), tensor([1.0, 0.0, -2.0], dtype=torch.float64))
    # Variances 2/3, 0 and 26/3: of all members, not of a sample.
    assert_close(uncertainty_weighted_reward(SCORES, weight=0.3), tensor([1.8, 0.0, 1 - 2.6], dtype=torch.float64))
    # -log((e^-log2 + e^-log4 + 1/4) / 3) = -log(1/3)
    scores = tensor([[math.log(2)], [math.log(4)], [math.log(4)]], dtype=torch.float64)
    assert_close(pessimistic_reward(scores, b=1.0), tensor([math.log(3)], dtype=torch.float64))


def test_the_pessimistic_reward_has_the_mean_and_the_worst_case_as_limits():
    assert_close(pessimistic_reward(SCORES, b=1e-9), mean_reward(SCORES), atol=1e-7, rtol=0)
    # Of M members one alone is lowest, so log M / b is what is left.
    assert_close(pessimistic_reward(SCORES, b=1e9), worst_case_reward(SCORES), atol=math.log(3) / 1e9 + 1e-12, rtol=0)
    assert bool(pessimistic_reward(SCORES * 1e4, b=1e4).isfinite().all())


def test_to_first_order_it_is_the_uncertainty_weighted_one():
    # The next term is b² κ₃ / 6: at b = 1e-4 below 1e-6 for these scores; with λ = b it would differ by 4e-4.
    b = 1e-4
    assert_close(pessimistic_reward(SCORES, b=b), uncertainty_weighted_reward(SCORES, weight=b / 2), atol=1e-6, rtol=0)


def test_it_falls_as_pessimism_grows_and_stays_between_its_limits():
    rewards = torch.stack([pessimistic_reward(SCORES, b=b) for b in (0.01, 0.1, 1.0, 10.0, 100.0)])
    disagreed = rewards[:, [0, 2]]
    assert bool((disagreed.diff(dim=0) < 0).all())
    assert bool((disagreed < mean_reward(SCORES)[[0, 2]]).all())
    assert bool((disagreed >= worst_case_reward(SCORES)[[0, 2]]).all())
    assert_close(rewards[:, 1], torch.zeros(5, dtype=torch.float64))


def test_a_shift_of_all_members_is_a_shift_of_every_reward():
    for rule in (
        mean_reward,
        worst_case_reward,
        lambda s: uncertainty_weighted_reward(s, weight=0.5),
        lambda s: pessimistic_reward(s, b=2.0),
    ):
        assert_close(rule(SCORES + 7), rule(SCORES) + 7)
        assert_close(rule(SCORES[[2, 0, 1]]), rule(SCORES))
        assert_close(rule(SCORES[:1]), SCORES[0])


def test_settings_that_cannot_work_are_refused():
    assert_close(uncertainty_weighted_reward(SCORES, weight=0.0), mean_reward(SCORES))
    with pytest.raises(ConfigError):
        uncertainty_weighted_reward(SCORES, weight=-0.1)
    with pytest.raises(ConfigError):
        pessimistic_reward(SCORES, b=0.0)
