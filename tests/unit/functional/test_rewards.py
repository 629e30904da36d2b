"""Rewards per token from scores per completion."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.functional.kl import k1
from palate.functional.rewards import token_rewards

NAN = math.nan


def random_case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(4, generator=generator, dtype=torch.float64)
    logprobs, ref_logprobs = -torch.rand(2, 4, 6, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 7, (4, 1), generator=generator)
    return scores, logprobs, ref_logprobs, torch.arange(6)[None] < lengths


def test_hand_case():
    # Row 0: log-ratios 1 and -2 with β = 0.1, so -0.1 and +0.2; the score 3 on the second token, its last.
    # Row 1 has no padding: the score stands on its last column.
    rewards = token_rewards(
        tensor([3.0, -1.0]),
        tensor([[-1.0, -3.0, NAN], [-1.0, -1.0, -1.0]]),
        tensor([[-2.0, -1.0, NAN], [-1.0, -1.0, -2.0]]),
        tensor([[True, True, False], [True, True, True]]),
        beta=0.1,
    )
    assert_close(rewards, tensor([[-0.1, 3.2, 0.0], [0.0, 0.0, -1.1]]))


def test_without_penalty_only_the_score_is_left():
    scores, logprobs, ref_logprobs, mask = random_case()
    for beta, reference in ((0.0, ref_logprobs), (0.3, logprobs)):
        rewards = token_rewards(scores, logprobs, reference, mask, beta=beta)
        assert torch.equal(rewards.sum(-1), scores)
        assert (rewards != 0).sum() == 4


numbers = st.integers(-1024, 1024).map(lambda n: n / 64)


@given(
    st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=8),
    numbers,
    st.sampled_from([0.0, 0.25, 0.5, 2.0]),
)
@settings(max_examples=100)
def test_rewards_and_penalty_add_up_to_the_score(tokens, score: float, beta: float):
    """With numbers that float64 holds exactly, to the last bit, whatever the mask looks like."""
    logprobs, ref_logprobs, mask = (tensor(column).unsqueeze(0) for column in zip(*tokens, strict=True))
    logprobs, ref_logprobs = logprobs.double(), ref_logprobs.double()
    assume(bool(mask.any()))
    rewards = token_rewards(tensor([score], dtype=torch.float64), logprobs, ref_logprobs, mask, beta=beta)
    penalty = beta * torch.where(mask, k1(logprobs, ref_logprobs), 0.0)
    assert rewards.sum() + penalty.sum() == score
    last = int(mask[0].nonzero()[-1])
    assert (rewards + penalty)[0, last] == score
    assert (rewards[~mask] == 0).all()


@pytest.mark.parametrize("garbage", [NAN, math.inf, 1e30])
def test_padding_does_not_count(garbage: float):
    scores, logprobs, ref_logprobs, mask = random_case()
    expected = token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3)
    dirty = torch.where(mask, logprobs, garbage).requires_grad_()
    dirty_ref = torch.where(mask, ref_logprobs, -garbage)
    rewards = token_rewards(scores, dirty, dirty_ref, mask, beta=0.3)
    assert torch.equal(rewards, expected)
    (gradient,) = torch.autograd.grad(rewards.sum(), dirty)
    assert_close(gradient, torch.where(mask, -0.3, 0.0).double())
    wider = [torch.nn.functional.pad(x, (2, 3), value=garbage) for x in (logprobs, ref_logprobs)]
    wide = token_rewards(scores, *wider, torch.nn.functional.pad(mask, (2, 3)), beta=0.3)
    assert torch.equal(wide[:, 2:-3], expected)
    assert wide[:, :2].abs().sum() + wide[:, -3:].abs().sum() == 0


def test_symmetries():
    scores, logprobs, ref_logprobs, mask = random_case()
    rewards = token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3)
    swapped = token_rewards(-scores, ref_logprobs, logprobs, mask, beta=0.3)
    assert_close(swapped, -rewards)
    shifted = token_rewards(scores + 2, logprobs - 1, ref_logprobs - 1, mask, beta=0.3)
    assert_close(shifted.sum(-1), rewards.sum(-1) + 2)
    assert_close((shifted - rewards).abs().sum(), tensor(8.0, dtype=torch.float64))


def test_gradient():
    scores, logprobs, ref_logprobs, mask = random_case()
    inputs = tuple(x.requires_grad_() for x in (scores, logprobs, ref_logprobs))
    assert torch.autograd.gradcheck(lambda s, a, b: token_rewards(s, a, b, mask, beta=0.3), inputs)


@pytest.mark.parametrize("seed", range(5))
def test_slow_reference(seed: int):
    scores, logprobs, ref_logprobs, mask = random_case(seed)
    rewards = token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3)
    for row in range(4):
        counted = [t for t in range(6) if mask[row, t]]
        for t in range(6):
            expected = -0.3 * (logprobs[row, t] - ref_logprobs[row, t]) if t in counted else tensor(0.0)
            expected = expected + scores[row] if t == counted[-1] else expected
            assert_close(rewards[row, t].item(), expected.item())


def test_a_completion_without_tokens_is_an_error():
    scores, logprobs, ref_logprobs, mask = random_case()
    mask[2] = False
    with pytest.raises(DataError, match="no token to carry its score") as caught:
        token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3)
    assert "batch rows 2" in str(caught.value)
    assert "found: 1 of 4" in str(caught.value)


@pytest.mark.parametrize("score", [NAN, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_an_error(score: float):
    scores, logprobs, ref_logprobs, mask = random_case()
    scores[1] = scores[3] = score
    with pytest.raises(DataError, match="not a number") as caught:
        token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3)
    assert "batch rows 1, 3" in str(caught.value)


def test_no_completions_are_no_error():
    scores, logprobs, ref_logprobs, mask = (x[:0] for x in random_case())
    assert token_rewards(scores, logprobs, ref_logprobs, mask, beta=0.3).shape == (0, 6)
