"""The DPO loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.functional.dpo import dpo_loss

NAN = math.nan
LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)


def random_case(seed: int = 0, rows: int = 7) -> tuple[Tensor, ...]:
    """Policy chosen, policy rejected, reference chosen, reference rejected."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(-10 * torch.rand(4, rows, generator=generator, dtype=torch.float64))


def labels_and_weights(rows: int = 7) -> tuple[Tensor, Tensor]:
    labels, weights = torch.rand(2, rows, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return labels, weights + 0.1


def test_hand_case():
    # chosen moved by +1, rejected by -1, β = ½ log 3: margin log 3, σ = ¾, loss log 4 - log 3.
    # The second row is the other way round: loss log 4. The mean is log 4 - ½ log 3.
    found = dpo_loss(
        tensor([-4.0, -6.0]),
        tensor([-8.0, -2.0]),
        tensor([-5.0, -5.0]),
        tensor([-7.0, -3.0]),
        beta=LOG3 / 2,
    )
    assert_close(found.loss, tensor(LOG4 - LOG3 / 2))
    assert_close(found.margins_N, tensor([LOG3, -LOG3]))
    assert found.accuracy == 0.5


@pytest.mark.parametrize("beta", [0.01, 0.1, 5.0])
def test_at_the_reference_the_loss_is_log_2_and_nothing_is_right_or_wrong(beta: float):
    chosen, rejected, _, _ = random_case()
    found = dpo_loss(chosen, rejected, chosen, rejected, beta=beta)
    assert_close(found.loss.item(), LOG2)
    assert (found.margins_N == 0).all()
    assert found.accuracy == 0.5


@pytest.mark.parametrize("garbage", [NAN, -math.inf])
def test_rows_of_weight_zero_reach_neither_value_nor_gradient(garbage: float):
    inputs = random_case()
    labels, weights = labels_and_weights()
    expected = dpo_loss(*(x[:5] for x in inputs), beta=0.3, p_chosen_N=labels[:5], weights_N=weights[:5])
    dirty = [x.clone() for x in inputs]
    for x in dirty:
        x[5:] = garbage
    weights[5:] = 0
    dirty[0].requires_grad_()
    found = dpo_loss(*dirty, beta=0.3, p_chosen_N=labels, weights_N=weights)
    assert_close(found.loss, expected.loss)
    assert_close(found.accuracy, expected.accuracy)
    assert_close(found.margins_N[:5], expected.margins_N)
    (gradient,) = torch.autograd.grad(found.loss, dirty[0])
    assert gradient.isfinite().all()
    assert (gradient[5:] == 0).all()


@given(st.integers(0, 2**16), st.floats(0.01, 5), st.floats(-5, 5))
@settings(max_examples=25)
def test_symmetries(seed: int, beta: float, shift: float):
    chosen, rejected, ref_chosen, ref_rejected = random_case(seed)
    labels, weights = labels_and_weights()
    kwargs = {"beta": beta, "weights_N": weights}
    found = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, p_chosen_N=labels, **kwargs)
    swapped = dpo_loss(rejected, chosen, ref_rejected, ref_chosen, p_chosen_N=1 - labels, **kwargs)
    assert_close(swapped.loss, found.loss)
    assert_close(swapped.margins_N, -found.margins_N)
    assert_close(swapped.accuracy, found.accuracy)
    # whatever belongs to the prompt cancels, in the policy and in the reference
    moved = dpo_loss(chosen + shift, rejected + shift, ref_chosen, ref_rejected, p_chosen_N=labels, **kwargs)
    assert_close(moved.loss, found.loss)
    # no label means that the chosen one was chosen
    hard = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, **kwargs)
    ones = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, p_chosen_N=torch.ones(7).double(), **kwargs)
    assert torch.equal(hard.loss, ones.loss)
    better = dpo_loss(chosen + abs(shift), rejected, ref_chosen, ref_rejected, **kwargs)
    assert better.loss <= hard.loss


def test_gradient():
    chosen, rejected, ref_chosen, ref_rejected = random_case()
    labels, weights = labels_and_weights()
    policy = (chosen.requires_grad_(), rejected.requires_grad_())

    def loss(c: Tensor, r: Tensor) -> Tensor:
        return dpo_loss(c, r, ref_chosen, ref_rejected, beta=0.3, p_chosen_N=labels, weights_N=weights).loss

    assert torch.autograd.gradcheck(loss, policy)
    # ∂ℓ/∂ log π(chosen) = β (σ(m) - p), and the negative of it for the rejected one
    margins = dpo_loss(*policy, ref_chosen, ref_rejected, beta=0.3).margins_N
    expected = 0.3 * weights * (margins.sigmoid() - labels) / weights.sum()
    for gradient, sign in zip(torch.autograd.grad(loss(*policy), policy), (1, -1), strict=True):
        assert_close(gradient, sign * expected)


def test_only_the_policy_learns():
    inputs = tuple(x.requires_grad_() for x in random_case())
    found = dpo_loss(*inputs, beta=0.3)
    gradients = torch.autograd.grad(found.loss, inputs, allow_unused=True)
    assert [g is None for g in gradients] == [False, False, True, True]
    assert not found.margins_N.requires_grad
    assert not found.accuracy.requires_grad


def test_slow_reference():
    inputs = random_case()
    labels, weights = labels_and_weights()
    found = dpo_loss(*inputs, beta=0.3, p_chosen_N=labels, weights_N=weights)
    total = 0.0
    for row in range(7):
        pc, pr, rc, rr = (x[row].item() for x in inputs)
        # the ratio of the two policies' odds, raised to β
        odds = (math.exp(pc) / math.exp(rc) * math.exp(rr) / math.exp(pr)) ** 0.3
        p, w = labels[row].item(), weights[row].item()
        total += w * (p * math.log(1 + 1 / odds) + (1 - p) * math.log(1 + odds))
        assert_close(found.margins_N[row].item(), math.log(odds))
    assert_close(found.loss.item(), total / weights.sum().item())


@pytest.mark.parametrize("size", [1, 3, 7])
def test_micro_batches_add_up(size: int):
    inputs = random_case()
    labels, weights = labels_and_weights()
    whole = dpo_loss(*inputs, beta=0.3, p_chosen_N=labels, weights_N=weights)
    parts = [
        dpo_loss(*rows, beta=0.3, p_chosen_N=p, weights_N=w, denominator=weights.sum().item())
        for *rows, p, w in zip(*(x.split(size) for x in (*inputs, labels, weights)), strict=True)
    ]
    assert_close(sum(part.loss for part in parts), whole.loss)
    shares = [w.sum() / weights.sum() for w in weights.split(size)]
    assert_close(sum(part.accuracy * a for part, a in zip(parts, shares, strict=True)), whole.accuracy)
    assert_close(torch.cat([part.margins_N for part in parts]), whole.margins_N)
