"""The clipped loss of the critic; what it shares with that of the policy is in `test_ppo.py`."""

import math

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.functional.masked import masked_mean
from palate.functional.ppo import value_loss

NAN, INF = math.nan, math.inf
COUNTS = tensor([[True]])


def random_case(seed: int = 0, rows: int = 5, length: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values, old values, returns, mask."""
    generator = torch.Generator().manual_seed(seed)
    old, moved, target = torch.randn(3, rows, length, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, length + 1, (rows, 1), generator=generator)
    return old + 0.5 * moved, old, target, torch.arange(length)[None] < lengths


def one(x: float) -> Tensor:
    return tensor([[x]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("value", "target", "loss", "clipped", "slope"),
    [
        (0.1, 1.0, 0.405, 0.0, -0.9),  # inside the band around V_old = 0: ½ · 0.9², slope V - R
        (0.5, 1.0, 0.32, 1.0, 0.0),  # towards the target by more than c = 0.2: held, ½ · 0.8²
        (-0.5, 1.0, 1.125, 0.0, -1.5),  # away from the target: ½ · 1.5², pull it back
        (0.5, -1.0, 1.125, 0.0, 1.5),  # the same, downwards
        (-0.5, -1.0, 0.32, 1.0, 0.0),
        (0.5, 0.1, 0.08, 0.0, 0.4),  # far past the target: ½ · 0.4²
    ],
)
def test_every_region_by_hand(value, target, loss, clipped, slope):
    values = one(value).requires_grad_()
    found = value_loss(values, one(0.0), one(target), COUNTS, clip=0.2)
    assert_close(found.loss.item(), loss)
    assert found.clip_fraction == clipped
    assert_close(torch.autograd.grad(found.loss, values)[0].item(), slope)


def test_mean_over_tokens_by_hand():
    # errors 1, -1, 3 (and NaN in padding): ½ (1 + 1 + 9) / 3 = 11/6.
    # Returns 1, 2, 6: mean 3, variance 14/3. Errors R - V = -1, 1, -3: mean -1, variance 8/3.
    # So the critic explains 1 - 8/14 = 3/7 of it.
    values, returns = tensor([[2.0, 1.0], [9.0, NAN]]), tensor([[1.0, 2.0], [6.0, NAN]])
    mask = tensor([[True, True], [True, False]])
    found = value_loss(values, values, returns, mask, clip=0.2)
    assert_close(found.loss, tensor(11 / 6))
    assert found.clip_fraction == 0
    assert_close(found.explained_variance, tensor(3 / 7))
    assert_close(value_loss(values, values, returns, mask, clip=0.2, denominator=11).loss, tensor(0.5))


def test_explained_variance():
    _, old, returns, mask = random_case()
    constant = torch.full_like(returns, 3.0)
    assert_close(value_loss(constant, old, returns, mask, clip=INF).explained_variance.item(), 0.0)
    # a critic that is wrong by a constant explains all of the variance
    assert_close(value_loss(returns + 3, old, returns, mask, clip=INF).explained_variance.item(), 1.0)
    assert value_loss(-returns, old, returns, mask, clip=INF).explained_variance < 0
    assert value_loss(returns, old, constant, mask, clip=INF).explained_variance.isnan()


def test_nothing_is_clipped_inside_the_band_not_even_by_rounding():
    values, old, returns = torch.randn(3, 50, 50, generator=torch.Generator().manual_seed(0)).tanh()
    assert (old + (values - old) != values).any()
    found = value_loss(values, old, returns, torch.ones(50, 50, dtype=torch.bool), clip=2.0)
    assert found.clip_fraction == 0


def test_without_a_clip_it_is_half_the_squared_error():
    values, old, returns, mask = random_case()
    found = value_loss(values, old, returns, mask, clip=INF)
    assert_close(found.loss, 0.5 * masked_mean((values - returns).square(), mask))
    assert found.clip_fraction == 0


def test_symmetric_under_sign_and_shift():
    values, old, returns, mask = random_case()
    expected = value_loss(values, old, returns, mask, clip=0.2)
    for found in (
        value_loss(-values, -old, -returns, mask, clip=0.2),
        value_loss(values + 3, old + 3, returns + 3, mask, clip=0.2),
    ):
        assert_close(found, expected)


def test_the_clip_fraction_is_the_share_without_gradient():
    values, old, returns, mask = random_case()
    values.requires_grad_()
    found = value_loss(values, old, returns, mask, clip=0.2)
    (gradient,) = torch.autograd.grad(found.loss, values)
    assert 0 < found.clip_fraction < 1
    assert_close(found.clip_fraction, masked_mean((gradient == 0).double(), mask))


def test_slow_reference():
    values, old, returns, mask = random_case(3)
    losses = []
    for t in mask.nonzero().tolist():
        v, before, target = (x[tuple(t)].item() for x in (values, old, returns))
        near = min(max(v, before - 0.2), before + 0.2)
        losses.append(max((v - target) ** 2, (near - target) ** 2) / 2)
    found = value_loss(values, old, returns, mask, clip=0.2)
    assert_close(found.loss.item(), sum(losses) / len(losses))
