"""KTO: its loss, its gradient and its reference point."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.kto import kto_loss, kto_reference_point

LOG3 = math.log(3)


def double(*xs: float) -> torch.Tensor:
    return tensor(xs, dtype=torch.float64)


def test_hand_case():
    # z₀ = 1, β = log 3. Good: r = 2, σ(log 3) = ¾, loses ¼ of λ = 2. Bad: r = 2, σ(-log 3) = ¼, loses ¾ of 1.
    found = kto_loss(double(-1, -4), double(-3, -6), double(1, 0), beta=LOG3, reference_point_nats=1.0, good_weight=2.0)
    assert_close(found.loss, double(0.5 * (2 * 0.25 + 0.75))[0])
    assert_close(found.rewards_N, double(2 * LOG3, 2 * LOG3))


def test_loss_and_gradient_derived_by_hand():
    """∂ℓ/∂ log π = -p λ_g β s(1 - s) + (1 - p) λ_b β s(1 - s), s = σ(β (r - z₀)); to 1e-10."""
    generator = torch.Generator().manual_seed(0)
    policy, reference = -5 * torch.rand(2, 8, generator=generator, dtype=torch.float64)
    p, w = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    found = kto_loss(policy.requires_grad_(), reference, p, beta=0.4, reference_point_nats=0.3, good_weight=1.3,
                     bad_weight=0.7, weights_N=w)  # fmt: skip
    expected, slopes = 0.0, []
    for x, y, label, weight in zip(*(t.tolist() for t in (policy, reference, p, w)), strict=True):
        s = 1 / (1 + math.exp(-0.4 * (x - y - 0.3)))
        expected += weight * (label * 1.3 * (1 - s) + (1 - label) * 0.7 * s) / w.sum().item()
        slopes.append(weight * 0.4 * s * (1 - s) * (-label * 1.3 + (1 - label) * 0.7) / w.sum().item())
    assert_close(found.loss.item(), expected, atol=1e-10, rtol=0)
    (gradient,) = torch.autograd.grad(found.loss, policy)
    assert_close(gradient, tensor(slopes, dtype=torch.float64), atol=1e-10, rtol=0)


def test_good_goes_up_bad_goes_down_and_certain_rows_rest():
    policy = double(0, 0, 200, -200).requires_grad_()
    found = kto_loss(policy, double(0, 0, 0, 0), double(1, 0, 1, 0), beta=1.0, reference_point_nats=0.0)
    (gradient,) = torch.autograd.grad(found.loss, policy)
    assert gradient[0] < 0 < gradient[1]
    assert (gradient[2:].abs() < 1e-30).all()


def test_reference_point():
    # mean of +2, -1, weighted 1, 3: -¼, so 0; weighted alike ½
    policy, reference = double(-1, -4), double(-3, -3)
    assert_close(kto_reference_point(policy, reference), 0.5)
    assert kto_reference_point(policy, reference, double(1, 3)) == 0.0
    assert_close(kto_reference_point(double(-1, math.nan), double(-3, 0), double(1, 0)), 2.0)


def test_the_reference_point_is_one_for_the_batch():
    """With the batch's z₀ micro-batches add up; with one z₀ a part they do not."""
    generator = torch.Generator().manual_seed(1)
    policy, reference, p = torch.rand(3, 6, generator=generator, dtype=torch.float64)
    other = reference + torch.arange(6)  # moved by 0 to 5 nats: the halves differ
    settings = {"beta": 1.0, "denominator": 6}
    z = kto_reference_point(other, reference)
    whole = kto_loss(policy, reference, p, reference_point_nats=z, **settings).loss
    halves = [slice(0, 2), slice(2, 6)]
    right = sum(kto_loss(policy[h], reference[h], p[h], reference_point_nats=z, **settings).loss for h in halves)
    wrong = sum(
        kto_loss(policy[h], reference[h], p[h],
                 reference_point_nats=kto_reference_point(other[h], reference[h]), **settings).loss
        for h in halves
    )  # fmt: skip
    assert_close(right, whole)
    assert abs(wrong - whole) > 1e-4


@pytest.mark.parametrize("z", [-0.1, math.nan, math.inf])
def test_a_reference_point_that_cannot_be(z: float):
    with pytest.raises(ConfigError, match="reference point"):
        kto_loss(double(0), double(0), double(1), beta=1.0, reference_point_nats=z)


@pytest.mark.parametrize("setting", ["good_weight", "bad_weight"])
def test_a_side_without_weight(setting: str):
    with pytest.raises(ConfigError, match=f"`{setting}`"):
        kto_loss(double(0), double(0), double(1), beta=1.0, reference_point_nats=0.0, **{setting: 0.0})


@pytest.mark.parametrize("weights", [double(0, 0), double(1, 1)])
def test_no_reference_point(weights):
    with pytest.raises(DataError, match="reference point is not a number"):
        kto_reference_point(double(math.nan, 0), double(0, 0), weights)
