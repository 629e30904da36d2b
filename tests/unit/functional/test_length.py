"""Length as a nuisance."""

import math

import torch
from torch import tensor
from torch.testing import assert_close

from palate.functional.length import antisymmetric_correlation, explained_loss


def test_by_hand():
    # x y = 2 + 0 - 2 + 3 = 3; x² = 1 + 4 + 1 + 9 = 15; y² = 4 + 0 + 4 + 1 = 9
    x, y = tensor([1.0, 2.0, -1.0, 3.0]), tensor([2.0, 0.0, 2.0, 1.0])
    assert_close(antisymmetric_correlation(x, y), tensor(3 / math.sqrt(15 * 9)))
    assert_close(antisymmetric_correlation(x, -2 * x), tensor(-1.0))
    assert_close(antisymmetric_correlation(x, torch.zeros(4)), tensor(0.0))


def test_which_side_comes_first_does_not_matter():
    # All differences above 0: with their means taken off, this would be -1.
    x, y = tensor([1.0, 2.0]), tensor([2.0, 1.0])
    assert_close(antisymmetric_correlation(x, y), tensor(0.8))
    turned = tensor([1.0, -1.0])
    assert_close(antisymmetric_correlation(x * turned, y * turned), tensor(0.8))


def test_weights_count_rows():
    x, y = tensor([1.0, 2.0, math.nan]), tensor([2.0, -1.0, math.nan])
    twice = antisymmetric_correlation(tensor([1.0, 1.0, 2.0]), tensor([2.0, 2.0, -1.0]))
    assert_close(antisymmetric_correlation(x, y, tensor([2.0, 1.0, 0.0])), twice)


def case(rows=50):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, rows, generator=generator, dtype=torch.float64)


def test_one_feature_explains_the_squared_correlation():
    # Σ x y = 3 and Σ y² = 9, so the fit is y / 3, and its mean square (4 + 0 + 4 + 1) / 9 / 4 = 1/4.
    x, y = tensor([1.0, 2.0, -1.0, 3.0]), tensor([2.0, 0.0, 2.0, 1.0])
    assert_close(explained_loss(x, y[:, None]), tensor(0.25))
    assert_close(explained_loss(x, y[:, None]), antisymmetric_correlation(x, y).square() * x.square().mean())
    assert_close(explained_loss(x, x[:, None]), x.square().mean())
    assert_close(explained_loss(x, torch.zeros(4, 1)), tensor(0.0))


def test_several_features_explain_what_their_span_does():
    length, other, noise = case()
    features = torch.stack([length, other], dim=1)
    inside = 0.3 * length - 2 * other
    assert_close(explained_loss(inside, features), inside.square().mean())
    mixed = features @ tensor([[2.0, 1.0], [1.0, -3.0]], dtype=torch.float64)
    assert_close(explained_loss(noise, mixed), explained_loss(noise, features))
    fit = torch.linalg.lstsq(features, noise[:, None]).solution[:, 0]
    assert_close(explained_loss(noise, features), (features @ fit).square().mean())
    rest = noise - features @ fit
    assert float(explained_loss(rest, features)) < 1e-15


def test_weights_of_the_explained_part_count_rows():
    x, y = tensor([1.0, 2.0, math.nan]), tensor([2.0, -1.0, math.nan])
    twice = explained_loss(tensor([1.0, 1.0, 2.0]), tensor([[2.0], [2.0], [-1.0]]))
    assert_close(explained_loss(x, y[:, None], tensor([2.0, 1.0, 0.0])), twice)


def test_its_gradient_takes_the_explained_part_away_and_nothing_else():
    length, other, _ = case()
    margins = (length + other).requires_grad_()
    (gradient,) = torch.autograd.grad(explained_loss(margins, length[:, None]), margins)
    left = (margins - len(length) / 2 * gradient).detach()  # a parabola: one step of Newton ends it
    assert abs(float(antisymmetric_correlation(left, length))) < 1e-7
    part = ((margins @ length) / length.square().sum() * length).detach()
    assert_close(left, margins.detach() - part, atol=1e-7, rtol=0)


def test_where_margins_begin_at_zero_there_is_no_gradient():
    margins = torch.zeros(4, requires_grad=True)
    loss = explained_loss(margins, torch.ones(4, 1))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(margins.grad.abs().max()) == 0.0
