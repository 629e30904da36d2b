"""The bandit that the recipes are measured against."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.functional.kl import exact_kl
from palate.world.exact import TabularBandit
from palate.world.exact.bandit import unit_variance


def random_bandit(seed: int, beta: float = 0.3) -> TabularBandit:
    rewards, logits = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return TabularBandit(rewards, logits.softmax(-1), beta)


def test_hand_case():
    # reference (½, ½), rewards (log 3, 0), β = 1: weights ½·3 and ½·1, so π* = (¾, ¼), Z = 2, J* = log 2.
    # J(reference) = ½ log 3. J of the first arm alone = log 3 - KL = log 3 - log 2.
    bandit = TabularBandit(tensor([math.log(3), 0.0]), tensor([0.5, 0.5]), beta=1.0)
    assert_close(bandit.optimum(), tensor([0.75, 0.25]))
    assert_close(bandit.best, math.log(2))
    assert_close(bandit.objective(tensor([0.5, 0.5])), math.log(3) / 2)
    assert_close(bandit.objective(tensor([1.0, 0.0])), math.log(1.5))


@given(st.integers(0, 2**16), st.floats(0.05, 5))
@settings(max_examples=30)
def test_the_gap_is_the_kl_to_the_optimum(seed: int, beta: float):
    bandit = random_bandit(seed, beta)
    best = bandit.optimum()
    assert abs(bandit.objective(best) - bandit.best) < 1e-12
    policy = torch.randn(6, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64).softmax(-1)
    gap = bandit.best - bandit.objective(policy)
    assert abs(gap - beta * exact_kl(policy.log(), best.log()).item()) < 1e-12
    shifted = TabularBandit(bandit.rewards_K + 3, bandit.reference_K, beta)
    assert_close(shifted.optimum(), best)


def test_limits():
    assert_close(random_bandit(0, beta=1e6).optimum(), random_bandit(0).reference_K, atol=1e-5, rtol=0)
    greedy = random_bandit(0, beta=1e-3)
    assert greedy.optimum().argmax() == greedy.rewards_K.argmax()
    assert greedy.optimum().max() > 1 - 1e-9


@pytest.mark.parametrize("reference", [[0.5, 0.6], [1.0, 0.0], [math.nan, 0.5]])
def test_a_reference_that_is_no_distribution(reference: list[float]):
    with pytest.raises(DataError, match="not a distribution"):
        TabularBandit(tensor([0.0, 1.0]), tensor(reference), beta=1.0)


@pytest.mark.parametrize("beta", [0.0, -1.0])
def test_no_penalty_no_optimum(beta: float):
    with pytest.raises(DataError, match="β"):
        TabularBandit(tensor([0.0, 1.0]), tensor([0.5, 0.5]), beta)


def test_unit_variance():
    # mean ¼·4 = 1, deviations (3, -1), variance ¼·9 + ¾·1 = 3
    reference = tensor([0.25, 0.75])
    assert_close(unit_variance(tensor([4.0, 0.0]), reference), tensor([3.0, -1.0]) / math.sqrt(3))
    with pytest.raises(DataError, match="do not vary"):
        unit_variance(tensor([2.0, 2.0]), reference)
