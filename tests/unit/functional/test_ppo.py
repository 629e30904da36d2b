"""The clipped losses of the policy and of the critic."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.nn.functional import pad
from torch.testing import assert_close

from palate.functional.masked import masked_mean
from palate.functional.ppo import policy_loss, value_loss

NAN, INF = math.nan, math.inf


def random_case(seed: int = 0, rows: int = 5, length: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """New numbers, old numbers, advantages or returns, mask; every branch of both losses occurs."""
    generator = torch.Generator().manual_seed(seed)
    old, moved, target = torch.randn(3, rows, length, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, length + 1, (rows, 1), generator=generator)
    return old + 0.5 * moved, old, target, torch.arange(length)[None] < lengths


def one(x: float) -> Tensor:
    return tensor([[x]], dtype=torch.float64)


COUNTS = tensor([[True]])
FUNCTIONS = pytest.mark.parametrize("function", [policy_loss, value_loss])


class TestPolicyLoss:
    @pytest.mark.parametrize(
        ("ratio", "advantage", "loss", "clipped", "slope"),
        [
            (1.1, +1.0, -1.1, 0.0, -1.1),  # inside the band: -ρA, and its slope in log π is -ρA as well
            (1.5, +1.0, -1.2, 1.0, 0.0),  # good token, already pushed far enough: held at 1 + c
            (0.5, +1.0, -0.5, 0.0, -0.5),  # good token made rarer: pull it back, no clip
            (0.9, -2.0, +1.8, 0.0, +1.8),  # inside the band
            (0.5, -1.0, +0.8, 1.0, 0.0),  # bad token, already rare enough: held at 1 - c
            (1.5, -1.0, +1.5, 0.0, +1.5),  # bad token made likelier: push it back, no clip
            (1.5, 0.0, 0.0, 0.0, 0.0),  # neither good nor bad
        ],
    )
    def test_every_region_by_hand(self, ratio, advantage, loss, clipped, slope):
        logprobs = one(math.log(ratio) - 2).requires_grad_()
        found = policy_loss(logprobs, one(-2.0), one(advantage), COUNTS, clip=0.2)
        assert_close(found.loss.item(), loss)
        assert found.clip_fraction == clipped
        assert_close(found.max_ratio_error.item(), abs(ratio - 1))
        assert_close(torch.autograd.grad(found.loss, logprobs)[0].item(), slope)

    def test_mean_over_tokens_not_over_completions_by_hand(self):
        # ratios 1.1, 1.5, 0.5, 1 with A = 1, 1, 1, 2: -(1.1 + 1.2 + 0.5 + 2) / 4 = -1.2, one of four clipped.
        # k3 of old against new, ρ - 1 - log ρ: .1 - .0953, .5 - .4055, -.5 + .6931, 0: their mean is .0731.
        logprobs = tensor([[1.1, 1.5, 0.5], [1.0, NAN, NAN]]).log()
        advantages = tensor([[1.0, 1.0, 1.0], [2.0, NAN, NAN]])
        mask = tensor([[True, True, True], [True, False, False]])
        found = policy_loss(logprobs, torch.zeros(2, 3), advantages, mask, clip=0.2)
        assert_close(found.loss, tensor(-1.2))
        assert_close(found.clip_fraction, tensor(0.25))
        assert_close(found.old_new_kl, tensor(0.0731), atol=1e-4, rtol=0)
        assert_close(found.max_ratio_error, tensor(0.5))
        assert_close(policy_loss(logprobs, torch.zeros(2, 3), advantages, mask, clip=0.2, denominator=8).loss,
                     tensor(-0.6))  # fmt: skip

    def test_the_first_step_is_the_policy_gradient(self):
        logprobs, _, advantages, mask = random_case()
        logprobs.requires_grad_()
        found = policy_loss(logprobs, logprobs, advantages, mask, clip=0.2)
        assert found.clip_fraction == found.old_new_kl == found.max_ratio_error == 0
        assert_close(found.loss, -masked_mean(advantages, mask))
        (gradient,) = torch.autograd.grad(found.loss, logprobs)
        (expected,) = torch.autograd.grad(-masked_mean(advantages * logprobs, mask), logprobs)
        assert_close(gradient, expected)

    def test_without_a_clip_it_is_importance_sampling(self):
        logprobs, old, advantages, mask = random_case()
        found = policy_loss(logprobs, old, advantages, mask, clip=INF)
        assert_close(found.loss, -masked_mean((logprobs - old).exp() * advantages, mask))
        assert found.clip_fraction == 0

    def test_a_tighter_clip_never_lowers_the_loss(self):
        logprobs, old, advantages, mask = random_case()
        found = [policy_loss(logprobs, old, advantages, mask, clip=c) for c in (INF, 0.8, 0.4, 0.2, 0.05, 0.0)]
        losses, shares = torch.stack([f.loss for f in found]), torch.stack([f.clip_fraction for f in found])
        assert (losses.diff() >= 0).all()
        assert (losses[1:].diff() > 0).all()
        assert (shares.diff() >= 0).all()
        assert 0 < shares[3] < 1

    def test_the_clip_fraction_is_the_share_without_gradient(self):
        logprobs, old, advantages, mask = random_case()
        logprobs.requires_grad_()
        found = policy_loss(logprobs, old, advantages, mask, clip=0.2)
        (gradient,) = torch.autograd.grad(found.loss, logprobs)
        assert_close(found.clip_fraction, masked_mean((gradient == 0).double(), mask))

    def test_old_new_kl_estimates_the_kl_from_the_old_policy(self):
        """Over all tokens, each as often as the old policy samples it, its mean is KL(old ‖ new)."""
        old, new = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)).double().log_softmax(-1)
        total = sum(
            p * policy_loss(b.view(1, 1), a.view(1, 1), one(1.0), COUNTS, clip=0.2).old_new_kl
            for p, a, b in zip(old.exp(), old, new, strict=True)
        )
        assert_close(total, (old.exp() * (old - new)).sum())

    def test_slow_reference(self):
        logprobs, old, advantages, mask = random_case(3)
        losses, clipped = [], []
        for t in mask.nonzero().tolist():
            ratio = math.exp(logprobs[tuple(t)] - old[tuple(t)])
            a = advantages[tuple(t)].item()
            clipped.append(ratio > 1.2 if a > 0 else ratio < 0.8)
            held = (1.2 if a > 0 else 0.8) * a
            losses.append(-held if clipped[-1] else -ratio * a)
        found = policy_loss(logprobs, old, advantages, mask, clip=0.2)
        assert_close(found.loss.item(), sum(losses) / len(losses))
        assert_close(found.clip_fraction.item(), sum(clipped) / len(clipped))


@FUNCTIONS
@pytest.mark.parametrize("garbage", [NAN, INF, 1e30])
def test_padding_reaches_neither_value_nor_gradient(function, garbage: float):
    inputs = random_case()
    mask = inputs[-1]
    clean = [x.clone().requires_grad_() for x in inputs[:3]]
    dirty = [torch.where(mask, x, garbage).requires_grad_() for x in inputs[:3]]
    dirty[1].data[~mask] = -garbage
    expected, found = (function(*xs, mask, clip=0.2) for xs in (clean, dirty))
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    (gradient,) = torch.autograd.grad(found.loss, dirty[0])
    assert torch.equal(gradient, torch.autograd.grad(expected.loss, clean[0])[0])
    assert (gradient[~mask] == 0).all()
    wide = function(*(pad(x.detach(), (2, 1), value=garbage) for x in clean), pad(mask, (2, 1)), clip=0.2)
    for a, b in zip(wide, expected, strict=True):
        assert_close(a, b)


@FUNCTIONS
@given(st.integers(0, 2**16), st.lists(st.integers(1, 9), max_size=4, unique=True))
@settings(max_examples=25)
def test_micro_batches_add_up(function, seed: int, cuts: list[int]):
    """However ten completions are cut, the parts with the denominator of the whole add up to the whole."""
    inputs = random_case(seed, rows=10)
    number = inputs[0].requires_grad_()
    whole = function(*inputs, clip=0.2)
    sizes = torch.tensor([0, *sorted(cuts), 10]).diff().tolist()
    parts = [
        function(*part, clip=0.2, denominator=inputs[-1].sum().item())
        for part in zip(*(x.split(sizes) for x in inputs), strict=True)
    ]
    summed = torch.stack([part.loss for part in parts]).sum()
    assert_close(summed, whole.loss, atol=1e-12, rtol=1e-12)
    shares = [mask.sum() / inputs[-1].sum() for mask in inputs[-1].split(sizes)]
    for fact in ("clip_fraction", "old_new_kl") if function is policy_loss else ("clip_fraction",):
        mean = sum(getattr(part, fact) * share for part, share in zip(parts, shares, strict=True))
        assert_close(mean, getattr(whole, fact), atol=1e-6, rtol=1e-6)
    if function is policy_loss:
        assert max(part.max_ratio_error for part in parts) == whole.max_ratio_error
    gradients = [torch.autograd.grad(loss, number)[0] for loss in (summed, whole.loss)]
    assert_close(*gradients, atol=1e-12, rtol=1e-12)


@FUNCTIONS
def test_gradient(function):
    inputs = random_case()
    assert torch.autograd.gradcheck(lambda x: function(x, *inputs[1:], clip=0.2).loss, (inputs[0].requires_grad_(),))


@FUNCTIONS
def test_only_the_first_argument_learns(function):
    *numbers, mask = random_case()
    numbers = [x.requires_grad_() for x in numbers]
    found = function(*numbers, mask, clip=0.2)
    gradients = torch.autograd.grad(found.loss, numbers, allow_unused=True)
    assert [g is None for g in gradients] == [False, True, True]
    assert not any(fact.requires_grad for fact in found[1:])


@FUNCTIONS
def test_nothing_counts(function):
    *numbers, mask = random_case()
    nothing = torch.zeros_like(mask)
    assert function(*numbers, nothing, clip=0.2).loss.isnan()
    assert function(*numbers, nothing, clip=0.2, denominator=12).loss == 0
    empty = function(*(x[:0] for x in (*numbers, mask)), clip=0.2, denominator=12)
    assert empty.loss == 0
    assert empty.clip_fraction.isnan()
