"""Masked statistics: sums, means, variances, whitening."""

import math
import statistics

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.functional.masked import (
    masked_mean,
    masked_sum,
    masked_variance,
    scale_to_unit_variance,
    whiten,
)

NAN = math.nan

# Two rows; 1, 3, 5, 7 count: sum 16, mean 4, squared distances 9 + 1 + 1 + 9 = 20, variance 5.
X = tensor([[1.0, NAN, 3.0], [5.0, 7.0, NAN]], dtype=torch.float64)
MASK = tensor([[True, False, True], [True, True, False]])


def test_hand_case():
    assert_close(masked_sum(X, MASK), tensor([4.0, 12.0], dtype=torch.float64))
    assert_close(masked_sum(X, MASK, dim=0), tensor([6.0, 7.0, 3.0], dtype=torch.float64))
    assert masked_sum(X, MASK, dim=None) == 16
    assert masked_mean(X, MASK) == 4
    assert masked_variance(X, MASK) == 5


def test_whiten_by_hand():
    root5 = math.sqrt(5)
    expected = tensor([[-3 / root5, 0, -1 / root5], [1 / root5, 3 / root5, 0]], dtype=torch.float64)
    assert_close(whiten(X, MASK), expected)
    assert_close(scale_to_unit_variance(X, MASK), torch.where(MASK, expected + 4, 0.0))


def test_nothing_counts():
    nothing = torch.zeros_like(MASK)
    assert masked_sum(X, nothing, dim=None) == 0
    assert masked_mean(X, nothing).isnan()
    assert masked_variance(X, nothing).isnan()
    assert_close(whiten(X, nothing), torch.zeros_like(X))
    assert_close(scale_to_unit_variance(X, nothing), torch.zeros_like(X))
    assert whiten(X[:, :0], MASK[:, :0]).shape == (2, 0)


def test_one_value_has_no_spread():
    x, mask = tensor([[7.0, NAN]]), tensor([[True, False]])
    assert masked_variance(x, mask) == 0
    assert_close(whiten(x, mask), tensor([[0.0, 0.0]]))
    assert_close(scale_to_unit_variance(x, mask), tensor([[7.0, 0.0]]))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-30, 1234.567, 1e8])
def test_equal_values_are_not_blown_up_by_rounding(value: float):
    x = torch.full((7, 1001), value)
    assert whiten(x, torch.ones_like(x, dtype=torch.bool)).abs().max() == 0


def test_a_small_but_real_spread_counts():
    x = tensor([[1.0, 1.001]])
    assert_close(whiten(x, torch.ones(1, 2, dtype=torch.bool)), tensor([[-1.0, 1.0]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("garbage", [NAN, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("function", [whiten, scale_to_unit_variance, masked_sum, masked_variance, masked_mean])
def test_padding_reaches_neither_value_nor_gradient(function, garbage: float):
    def run(padding: float) -> tuple[Tensor, Tensor]:
        x = torch.where(MASK, X, padding).requires_grad_()
        y = function(x, MASK)
        (gradient,) = torch.autograd.grad((y * torch.arange(1.0, 1 + y.numel()).view_as(y)).sum(), x)
        return y.detach(), gradient

    for dirty, clean in zip(run(garbage), run(0.0), strict=True):
        assert torch.equal(dirty, clean)
    assert (run(garbage)[1][~MASK] == 0).all()


@given(
    st.lists(st.floats(-10, 10, width=16), min_size=2, max_size=12),
    st.floats(0.01, 100),
    st.floats(-100, 100),
)
@settings(max_examples=60)
def test_whitening_knows_no_units(values: list[float], factor: float, shift: float):
    x = tensor([values], dtype=torch.float64)
    everything = torch.ones_like(x, dtype=torch.bool)
    assume(statistics.pstdev(values) > 1e-3)
    white = whiten(x, everything)
    assert_close(whiten(factor * x + shift, everything), white, atol=1e-7, rtol=0)
    assert_close(whiten(-x, everything), -white)
    assert abs(masked_mean(white, everything)) < 1e-9
    assert_close(masked_variance(white, everything).item(), 1.0)
    scaled = scale_to_unit_variance(x, everything)
    assert_close(scaled.mean(), x.mean())
    assert_close(masked_variance(scaled, everything).item(), 1.0)


@pytest.mark.parametrize("function", [whiten, scale_to_unit_variance, masked_sum, masked_variance, masked_mean])
def test_gradient(function):
    x = torch.where(MASK, X, 0.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x, MASK), (x,))


def test_gradient_where_there_is_no_spread_is_finite():
    x = torch.full((2, 3), 2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(whiten(x, torch.ones(2, 3, dtype=torch.bool)).sum(), x)
    assert gradient.isfinite().all()


def test_slow_reference():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    mask = torch.rand(5, 8, generator=generator) < 0.6
    counted = [float(v) for row, counts in zip(x, mask, strict=True) for v, c in zip(row, counts, strict=True) if c]
    mean, deviation = statistics.fmean(counted), statistics.pstdev(counted)
    assert_close(masked_mean(x, mask).item(), mean)
    assert_close(masked_variance(x, mask).item(), deviation**2)
    for row in range(5):
        for column in range(8):
            expected = (float(x[row, column]) - mean) / deviation if mask[row, column] else 0.0
            assert_close(whiten(x, mask)[row, column].item(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_type_is_kept(dtype: torch.dtype):
    assert whiten(X.to(dtype), MASK).dtype == dtype
    assert masked_sum(X.to(dtype), MASK).dtype == dtype
