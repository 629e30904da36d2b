"""The Bradley-Terry loss and its accuracy."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.functional.pairwise import bradley_terry_accuracy, bradley_terry_loss

NAN = math.nan
LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)


def random_case(seed: int = 0, rows: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    margins = 2 * torch.randn(rows, generator=generator, dtype=torch.float64)
    labels, weights = torch.rand(2, rows, generator=generator, dtype=torch.float64)
    return margins, labels, weights + 0.1


@pytest.mark.parametrize(
    ("margin", "p_first", "expected"),
    [
        (0.0, 1.0, LOG2),  # undecided
        (0.0, 0.3, LOG2),  # whatever the label is
        (LOG3, 1.0, LOG4 - LOG3),  # σ(log 3) = ¾: -log ¾
        (LOG3, 0.0, LOG4),  # -log ¼
        (LOG3, 0.75, LOG4 - 0.75 * LOG3),  # ¾ (log 4 - log 3) + ¼ log 4
        (1000.0, 1.0, 0.0),  # saturated, on the right side
        (-1000.0, 1.0, 1000.0),  # and on the wrong one: no overflow
    ],
)
def test_hand_case(margin: float, p_first: float, expected: float):
    assert_close(bradley_terry_loss(tensor([margin]), tensor([p_first])), tensor(expected))


def test_weighted_mean_by_hand():
    # losses log 2, log 4, NaN with weights 1, 3, 0: (log 2 + 3·2 log 2) / 4 = 1.75 log 2
    margins, labels, weights = tensor([0.0, LOG3, NAN]), tensor([1.0, 0.0, NAN]), tensor([1.0, 3.0, 0.0])
    assert_close(bradley_terry_loss(margins, labels, weights), tensor(1.75 * LOG2))
    assert_close(bradley_terry_loss(margins, labels, weights, denominator=7), tensor(LOG2))
    # one tie (½), one wrong (0): (1·½ + 3·0) / 4
    assert_close(bradley_terry_accuracy(margins, labels, weights), tensor(0.125))


def test_accuracy_by_hand():
    margins = tensor([2.0, -2.0, 2.0, 0.0, 2.0, -0.1])
    labels = tensor([0.9, 0.1, 0.2, 1.0, 0.5, 0.51])
    # right, right, wrong, tie of the margin, tie of the label, wrong: (1 + 1 + 0 + ½ + ½ + 0) / 6
    assert_close(bradley_terry_accuracy(margins, labels), tensor(0.5))
    assert_close(bradley_terry_accuracy(margins[:3], labels[:3]), tensor(2 / 3))


def test_nothing_weighed():
    none = torch.zeros(2)
    assert bradley_terry_loss(none, none, none).isnan()
    assert bradley_terry_accuracy(none, none, none).isnan()
    assert bradley_terry_loss(none, none, none, denominator=4.0) == 0


@pytest.mark.parametrize("garbage", [NAN, math.inf])
def test_rows_of_weight_zero_reach_neither_value_nor_gradient(garbage: float):
    margins, labels, weights = random_case()
    expected = bradley_terry_loss(margins[:6], labels[:6], weights[:6])
    share = bradley_terry_accuracy(margins[:6], labels[:6], weights[:6])
    margins[6:] = labels[6:] = garbage
    weights[6:] = 0
    margins.requires_grad_()
    loss = bradley_terry_loss(margins, labels, weights)
    assert_close(loss, expected)
    assert_close(bradley_terry_accuracy(margins, labels, weights), share)
    (gradient,) = torch.autograd.grad(loss, margins)
    assert gradient.isfinite().all()
    assert (gradient[6:] == 0).all()


@given(st.floats(-50, 50), st.floats(0, 1), st.floats(-5, 5))
@settings(max_examples=80)
def test_swapping_the_sides(margin: float, p_first: float, shift: float):
    m, p = tensor([margin], dtype=torch.float64), tensor([p_first], dtype=torch.float64)
    assert_close(bradley_terry_loss(-m, 1 - p), bradley_terry_loss(m, p))
    assert_close(bradley_terry_loss(-m, p) - bradley_terry_loss(m, p), ((2 * p - 1) * m)[0])
    assert bradley_terry_accuracy(m, p) + bradley_terry_accuracy(-m, p) == 1
    # the best margin for a soft label is its log-odds, and the loss there is the entropy of the label
    if 0.01 < p_first < 0.99:
        best = bradley_terry_loss(p.logit(), p)
        assert_close(best, -(p * p.log() + (1 - p) * (1 - p).log())[0])
        assert bradley_terry_loss(p.logit() + shift, p) >= best - 1e-12


def test_gradient_is_what_was_predicted_minus_what_was_seen():
    margins, labels, weights = random_case()
    margins.requires_grad_()
    assert torch.autograd.gradcheck(lambda m, p: bradley_terry_loss(m, p, weights), (margins, labels))
    (gradient,) = torch.autograd.grad(bradley_terry_loss(margins, labels, weights), margins)
    assert_close(gradient, weights * (margins.sigmoid() - labels) / weights.sum())


def test_slow_reference():
    margins, labels, weights = random_case()
    total = mass = right = 0.0
    for m, p, w in zip(margins.tolist(), labels.tolist(), weights.tolist(), strict=True):
        first = 1 / (1 + math.exp(-m))
        total -= w * (p * math.log(first) + (1 - p) * math.log(1 - first))
        right += w * ((m > 0) == (p > 0.5))
        mass += w
    assert_close(bradley_terry_loss(margins, labels, weights).item(), total / mass)
    assert_close(bradley_terry_accuracy(margins, labels, weights).item(), right / mass)
    assert_close(bradley_terry_loss(margins, labels), bradley_terry_loss(margins, labels, 7 * torch.ones(9).double()))


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_micro_batches_add_up(size: int):
    margins, labels, weights = random_case()
    mass = weights.sum().item()
    parts = zip(margins.split(size), labels.split(size), weights.split(size), strict=True)
    total = sum(bradley_terry_loss(m, p, w, denominator=mass) for m, p, w in parts)
    assert_close(total, bradley_terry_loss(margins, labels, weights))


def test_weights_learn_nothing():
    margins, labels, weights = random_case()
    loss = bradley_terry_loss(margins.requires_grad_(), labels, weights.requires_grad_())
    _, gradient = torch.autograd.grad(loss, (margins, weights), allow_unused=True)
    assert gradient is None
