"""Generalised advantage estimation."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.nn.functional import pad
from torch.testing import assert_close

from palate.functional.gae import gae

NAN = math.nan
LAMBDAS = (0.0, 0.3, 0.95, 1.0)


def random_case(seed: int = 0, rows: int = 4, length: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, rows, length, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, length + 1, (rows, 1), generator=generator)
    return rewards, values, torch.arange(length)[None] < lengths


def test_hand_case():
    # γ = ½, λ = ½, rewards 1, 2, 4, values 2, 4, 6.
    # δ₂ = 4 - 6 = -2                A₂ = -2
    # δ₁ = 2 + ½·6 - 4 = 1           A₁ = 1 + ¼·(-2) = 0.5
    # δ₀ = 1 + ½·4 - 2 = 1           A₀ = 1 + ¼·0.5 = 1.125
    rewards, values = tensor([[1.0, 2.0, 4.0, NAN]]), tensor([[2.0, 4.0, 6.0, NAN]])
    found = gae(rewards, values, tensor([[True, True, True, False]]), discount=0.5, lam=0.5)
    assert_close(found.advantages_BT, tensor([[1.125, 0.5, -2.0, 0.0]]))
    assert_close(found.returns_BT, tensor([[3.125, 4.5, 4.0, 0.0]]))


def test_lambda_one_is_the_return_and_lambda_zero_is_the_surprise():
    rewards, values, mask = random_case()
    values[~mask] = NAN
    counted = torch.where(mask, rewards, 0.0)
    to_go = counted.flip(-1).cumsum(-1).flip(-1)
    assert_close(gae(rewards, values, mask, discount=1.0, lam=1.0).returns_BT, torch.where(mask, to_go, 0.0))
    following = pad(torch.where(mask, values, 0.0)[:, 1:], (0, 1))
    surprise = torch.where(mask, rewards + 0.9 * following - values, 0.0)
    assert_close(gae(rewards, values, mask, discount=0.9, lam=0.0).advantages_BT, surprise)


@pytest.mark.parametrize("lam", LAMBDAS)
def test_without_a_critic_the_end_token_earns_the_whole_score(lam: float):
    rewards, mask = tensor([[0.0, 0.0, 2.0, NAN]]), tensor([[True, True, True, False]])
    found = gae(rewards, torch.zeros(1, 4), mask, discount=1.0, lam=lam)
    assert_close(found.advantages_BT, tensor([[2 * lam**2, 2 * lam, 2.0, 0.0]]))


@pytest.mark.parametrize("garbage", [NAN, math.inf, 1e30])
@pytest.mark.parametrize("widths", [(0, 3), (3, 0), (2, 2)])
def test_padding_on_either_side_does_not_count(garbage: float, widths: tuple[int, int]):
    rewards, values, mask = random_case()
    expected = gae(rewards, values, mask, discount=0.9, lam=0.8)
    wide = [pad(torch.where(mask, x, garbage), widths, value=garbage) for x in (rewards, values)]
    found = gae(*wide, pad(mask, widths), discount=0.9, lam=0.8)
    for dirty, clean in zip(found, expected, strict=True):
        assert torch.equal(dirty, pad(clean, widths))


def test_tokens_inside_that_do_not_count_are_stepped_over():
    rewards, values, _ = random_case()
    mask = tensor([[True, False, False, True, True, False]]).expand(4, -1)
    columns = tensor([0, 3, 4])
    dense = gae(rewards[:, columns], values[:, columns], mask[:, columns], discount=0.9, lam=0.8)
    found = gae(rewards, values, mask, discount=0.9, lam=0.8)
    assert torch.equal(found.advantages_BT[:, columns], dense.advantages_BT)
    assert found.advantages_BT[~mask].abs().sum() == 0


def test_linear_in_rewards_and_values_together():
    rewards, values, mask = random_case()
    other_rewards, other_values, _ = random_case(1)
    both = gae(rewards + 2 * other_rewards, values + 2 * other_values, mask, discount=0.9, lam=0.8)
    one = gae(rewards, values, mask, discount=0.9, lam=0.8)
    other = gae(other_rewards, other_values, mask, discount=0.9, lam=0.8)
    assert_close(both.advantages_BT, one.advantages_BT + 2 * other.advantages_BT)
    assert_close(both.returns_BT, one.returns_BT + 2 * other.returns_BT)


def test_gradient():
    rewards, values, mask = random_case()
    inputs = (rewards.requires_grad_(), values.requires_grad_())
    assert torch.autograd.gradcheck(lambda r, v: gae(r, v, mask, discount=0.9, lam=0.8), inputs)


def test_nan_in_padding_reaches_no_gradient():
    rewards, values, mask = random_case()
    values = torch.where(mask, values, NAN).requires_grad_()
    found = gae(torch.where(mask, rewards, NAN), values, mask, discount=0.9, lam=0.8)
    (gradient,) = torch.autograd.grad(found.advantages_BT.sum(), values)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()


@given(
    st.integers(0, 2**16),
    st.integers(1, 9),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=60)
def test_slow_reference(seed: int, length: int, discount: float, lam: float):
    """Aₜ = Σₖ (γλ)ᵏ δₜ₊ₖ, summed for every t anew."""
    rewards, values, mask = random_case(seed, rows=3, length=length)
    found = gae(rewards, values, mask, discount=discount, lam=lam)
    for row in range(3):
        end = int(mask[row].sum())
        v = [*values[row, :end].tolist(), 0.0]
        deltas = [rewards[row, t].item() + discount * v[t + 1] - v[t] for t in range(end)]
        for t in range(length):
            expected = sum((discount * lam) ** k * deltas[t + k] for k in range(end - t))
            assert abs(found.advantages_BT[row, t].item() - expected) < 1e-12
            expected_return = expected + v[t] if t < end else 0.0
            assert abs(found.returns_BT[row, t].item() - expected_return) < 1e-12


@pytest.mark.parametrize("lam", LAMBDAS)
def test_with_the_exact_critic_advantages_are_unbiased(lam: float):
    """E[A | s, a] = Q - V for every λ: all 8 completions of 3 binary tokens, each with its probability."""
    generator = torch.Generator().manual_seed(0)
    probabilities = {
        prefix: torch.rand((), generator=generator, dtype=torch.float64).item()
        for length in range(3)
        for prefix in itertools.product((0, 1), repeat=length)
    }
    scores = {s: torch.randn((), generator=generator).item() for s in itertools.product((0, 1), repeat=3)}

    def step(prefix: tuple[int, ...], token: int) -> float:
        return probabilities[prefix] if token else 1 - probabilities[prefix]

    def value(prefix: tuple[int, ...]) -> float:
        if len(prefix) == 3:
            return scores[prefix]
        return sum(step(prefix, token) * value((*prefix, token)) for token in (0, 1))

    completions = list(scores)
    rewards = tensor([[0.0, 0.0, scores[s]] for s in completions], dtype=torch.float64)
    values = tensor([[value(s[:t]) for t in range(3)] for s in completions], dtype=torch.float64)
    found = gae(rewards, values, torch.ones(8, 3, dtype=torch.bool), discount=1.0, lam=lam)
    for t, first in itertools.product(range(3), completions):
        rows = [i for i, s in enumerate(completions) if s[: t + 1] == first[: t + 1]]
        weights = [math.prod(step(completions[i][:u], completions[i][u]) for u in range(t + 1, 3)) for i in rows]
        mean = sum(w * found.advantages_BT[i, t].item() for w, i in zip(weights, rows, strict=True))
        assert abs(mean - (value(first[: t + 1]) - value(first[:t]))) < 1e-12


def test_empty_shapes():
    for rows, length in ((0, 4), (3, 0)):
        found = gae(
            torch.zeros(rows, length),
            torch.zeros(rows, length),
            torch.ones(rows, length, dtype=torch.bool),
            discount=1.0,
            lam=0.95,
        )
        assert found.advantages_BT.shape == found.returns_BT.shape == (rows, length)
