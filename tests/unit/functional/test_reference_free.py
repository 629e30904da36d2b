"""ORPO and SimPO."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.reference_free import orpo_loss, simpo_loss

LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)


def double(*xs: float) -> torch.Tensor:
    return tensor(xs, dtype=torch.float64)


class TestSimPO:
    def test_hand_case(self):
        # nats a token: -1 and -2, β = 2 log 3: m = 2 log 3; γ = log 3 leaves log 3, -log σ = log 4 - log 3
        found = simpo_loss(double(-3), double(-4), tensor([3]), tensor([2]), beta=2 * LOG3, required=LOG3)
        assert_close(found.loss.item(), LOG4 - LOG3)
        assert_close(found.margins_N, double(2 * LOG3))
        assert found.accuracy == 1

    def test_repeating_a_completion_changes_nothing(self):
        """The mean, not the sum: twice the tokens at the same price are the same score."""
        short = simpo_loss(double(-3), double(-4), tensor([3]), tensor([2]), beta=2.0)
        long = simpo_loss(double(-6), double(-4), tensor([6]), tensor([2]), beta=2.0)
        assert_close(short.loss, long.loss)

    def test_a_required_lead_below_zero(self):
        with pytest.raises(ConfigError, match="required margin"):
            simpo_loss(double(-3), double(-4), tensor([3]), tensor([2]), beta=2.0, required=-0.1)


class TestORPO:
    def test_hand_case(self):
        # p̄ = ¾ of two tokens, odds 3; p̄ = ½ of one, odds 1: m = log 3. -log ¾ + λ (log 4 - log 3)
        found = orpo_loss(double(2 * math.log(0.75)), double(-LOG2), tensor([2]), tensor([1]), odds_weight=0.5)
        assert_close(found.margins_N, double(LOG3))
        assert_close(found.loss.item(), 1.5 * (LOG4 - LOG3))

    def test_slow_reference_over_the_whole_range(self):
        """From certain to hopeless, through log 2, where the formula for log(1 - eˣ) changes."""
        xs = [-1e-9, -0.1, -LOG2 + 1e-9, -LOG2 - 1e-9, -3.0, -30.0]
        for x in xs:
            found = orpo_loss(double(x), double(-1), tensor([1]), tensor([1]), odds_weight=1.0)
            odds = math.exp(x) / -math.expm1(x) / (math.exp(-1) / -math.expm1(-1))
            assert_close(found.margins_N.item(), math.log(odds))
            assert_close(found.loss.item(), -x + math.log1p(1 / odds))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("x", [-1e-40, 0.0, -500.0])
    def test_certain_and_hopeless_completions_have_finite_gradients(self, x: float, dtype: torch.dtype):
        for sides in ((x, -1.0), (-1.0, x), (x, x)):
            inputs = [tensor([side], dtype=dtype, requires_grad=True) for side in sides]
            found = orpo_loss(*inputs, tensor([1]), tensor([1]), odds_weight=0.1)
            assert found.loss.isfinite()
            assert all(g.isfinite().all() for g in torch.autograd.grad(found.loss, inputs))

    def test_without_odds_it_is_supervised_learning(self):
        chosen, rejected = double(-4, -3).requires_grad_(), double(-5, -9).requires_grad_()
        loss = orpo_loss(chosen, rejected, tensor([2, 3]), tensor([1, 3]), odds_weight=0.0).loss
        assert_close(loss.item(), 1.5)
        first, second = torch.autograd.grad(loss, (chosen, rejected))
        assert_close(first, double(-1 / 4, -1 / 6))
        assert (second == 0).all()

    @pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
    def test_a_weight_that_cannot_work(self, weight: float):
        with pytest.raises(ConfigError, match="weight of the odds"):
            orpo_loss(double(-1), double(-1), tensor([1]), tensor([1]), odds_weight=weight)

    def test_log_ratios_instead_of_log_probabilities(self):
        with pytest.raises(DataError, match=r"above 0(.|\n)*not log-ratios"):
            orpo_loss(double(1), double(-1), tensor([1]), tensor([1]), odds_weight=0.1)
