"""Advantages of groups, by hand and by enumeration of every group that can be drawn."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.functional.advantages import (
    centred_advantages,
    leave_one_out_advantages,
    refuse_broken_groups,
    reinforce_advantages,
    standardised_advantages,
)

GROUPED = pytest.mark.parametrize("function", [leave_one_out_advantages, centred_advantages, standardised_advantages])
PROMPTS = tensor([7, 2, 7, 7, 2])
"""Completions 0, 2 and 3 answer prompt 7, completions 1 and 4 prompt 2."""
SCORES = tensor([1.0, 10.0, 2.0, 6.0, 20.0], dtype=torch.float64)


def test_hand_cases():
    # prompt 7: scores 1, 2, 6, mean 3, deviations -2, -1, 3; prompt 2: 10, 20, deviations ∓5
    assert_close(centred_advantages(SCORES, PROMPTS).advantages_B, tensor([-2.0, -5.0, -1.0, 3.0, 5.0]).double())
    # against the others: 1 - 4, 2 - 3.5, 6 - 1.5; 10 - 20, 20 - 10
    expected = tensor([-3.0, -10.0, -1.5, 4.5, 10.0]).double()
    assert_close(leave_one_out_advantages(SCORES, PROMPTS).advantages_B, expected)
    # standard deviations over G: √(14/3) and 5
    std = math.sqrt(14 / 3)
    expected = tensor([-2 / std, -1.0, -1 / std, 3 / std, 1.0], dtype=torch.float64)
    assert_close(standardised_advantages(SCORES, PROMPTS).advantages_B, expected)
    assert_close(reinforce_advantages(SCORES, 2.0), tensor([-1.0, 8.0, 0.0, 4.0, 18.0]).double())
    assert_close(reinforce_advantages(SCORES, SCORES - 1), torch.ones(5).double())


@GROUPED
@pytest.mark.parametrize("score", [0.0, 0.1, 1e6, 1 / 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_groups_without_spread_teach_nothing_and_are_counted(function, score: float, dtype: torch.dtype):
    """Also where the mean of equal scores is not the score: 0.1 three times is not 0.3."""
    scores = tensor([score, 1.0, score, score, 2.0], dtype=dtype)
    found = function(scores, PROMPTS)
    assert (found.advantages_B[[0, 2, 3]] == 0).all()
    assert (found.advantages_B[[1, 4]] != 0).all()
    assert (found.groups, found.flat_groups) == (2, 1)


@GROUPED
def test_a_small_spread_is_a_spread(function):
    scores = tensor([1.0, 1.0 + 1e-9, 1.0, 1.0, 1.0 + 3e-9], dtype=torch.float64)
    assert function(scores, PROMPTS).flat_groups == 1
    assert (function(scores, PROMPTS).advantages_B[[1, 4]] != 0).all()


groups = st.lists(
    st.tuples(st.floats(-100, 100).map(lambda score: round(score, 6)), st.integers(0, 2)), min_size=2, max_size=12
).filter(lambda rows: all([r[1] for r in rows].count(p) > 1 for _, p in rows))


@given(groups, st.floats(-50, 50), st.floats(0.1, 10))
@settings(max_examples=50)
def test_invariants(rows, shift: float, scale: float):
    scores, prompts = tensor([r[0] for r in rows], dtype=torch.float64), tensor([r[1] for r in rows])
    sizes = torch.bincount(prompts)[prompts].double()
    rloo, centred = (f(scores, prompts).advantages_B for f in (leave_one_out_advantages, centred_advantages))
    close = {"atol": 1e-9, "rtol": 1e-9}
    assert_close(centred, rloo * (sizes - 1) / sizes, **close)
    # a number per prompt cancels: the baseline takes it
    moved = leave_one_out_advantages(scores + shift * prompts, prompts).advantages_B
    assert_close(moved, rloo, **close)
    for prompt in prompts.unique():
        assert_close(rloo[prompts == prompt].sum(), tensor(0.0).double(), **close)
    # leave-one-out, as it is written
    for i in range(len(rows)):
        others = [r for j, (r, p) in enumerate(rows) if j != i and p == rows[i][1]]
        assert_close(rloo[i].item(), rows[i][0] - sum(others) / len(others), **close)
    found = standardised_advantages(scores, prompts)
    for prompt in prompts.unique():
        square = found.advantages_B[prompts == prompt].square().mean()
        assert min(abs(square), abs(square - 1)) < 1e-9
    if found.flat_groups == 0 and (scores.abs() > 1e-3).all():
        other = standardised_advantages(scale * scores, prompts)
        assert_close(other.advantages_B, found.advantages_B, atol=1e-6, rtol=1e-6)


def expected_gradient(advantages, size: int, scores: Tensor, logits: Tensor) -> Tensor:
    """Of -mean(A log π), over all groups of that size, each as often as the policy draws it."""
    draws = tensor(list(product(range(len(scores)), repeat=size)))
    prompts = torch.arange(len(draws)).repeat_interleave(size)
    logprobs = logits.log_softmax(-1)
    chance = logprobs.detach()[draws].sum(-1).exp().repeat_interleave(size)
    found = advantages(scores[draws.flatten()], prompts)
    surrogate = (chance * found * logprobs[draws.flatten()]).sum() / size
    return torch.autograd.grad(surrogate, logits)[0]


class TestUnbiased:
    """Against the gradient of the expected score, exactly."""

    scores = tensor([0.3, -1.0, 2.0, 0.5], dtype=torch.float64)
    logits = tensor([0.5, 0.0, -1.0, 0.2], dtype=torch.float64, requires_grad=True)

    def right(self) -> Tensor:
        return torch.autograd.grad(self.logits.softmax(-1) @ self.scores, self.logits)[0]

    @pytest.mark.parametrize("size", [2, 3, 4])
    def test_rloo(self, size: int):
        found = expected_gradient(
            lambda r, p: leave_one_out_advantages(r, p).advantages_B, size, self.scores, self.logits
        )
        assert_close(found, self.right(), atol=1e-12, rtol=1e-12)

    @pytest.mark.parametrize("size", [2, 3])
    def test_the_mean_with_oneself_shrinks_it(self, size: int):
        found = expected_gradient(lambda r, p: centred_advantages(r, p).advantages_B, size, self.scores, self.logits)
        assert_close(found, self.right() * (size - 1) / size, atol=1e-12, rtol=1e-12)

    @pytest.mark.parametrize("baseline", [0.0, 5.0])
    def test_reinforce_with_any_constant(self, baseline: float):
        found = expected_gradient(lambda r, _: reinforce_advantages(r, baseline), 1, self.scores, self.logits)
        assert_close(found, self.right(), atol=1e-12, rtol=1e-12)

    def test_a_baseline_that_knows_the_score_is_biased(self):
        found = expected_gradient(lambda r, _: reinforce_advantages(r, 0.5 * r), 1, self.scores, self.logits)
        assert (found - self.right()).norm() > 0.1

    def test_standardising_turns_it(self):
        found = expected_gradient(lambda r, p: standardised_advantages(r, p).advantages_B, 2, self.scores, self.logits)
        assert torch.cosine_similarity(found, self.right(), dim=0) < 0.999

    @pytest.mark.parametrize(("size", "rare"), [(2, 1.0), (8, 2.33)])
    def test_how_much_more_standardising_weighs_hard_prompts(self, size: int, rare: float):
        """Rewards of 0 and 1, success at p = 0.1: a weight of 1/√(p (1 - p)) = 3.33 in the limit of large groups."""
        p = tensor(0.1, dtype=torch.float64)
        logits = torch.stack([p.log(), (1 - p).log()]).requires_grad_()
        scores = tensor([1.0, 0.0], dtype=torch.float64)
        found = expected_gradient(lambda r, q: standardised_advantages(r, q).advantages_B, size, scores, logits)
        (right,) = torch.autograd.grad(logits.softmax(-1) @ scores, logits)
        assert abs((found / right)[0].item() - rare) < 0.01


class TestWrongUse:
    @GROUPED
    def test_a_group_of_one(self, function):
        with pytest.raises(DataError, match=r"nothing to be compared with\n  where: completion 1"):
            function(SCORES[:3], tensor([7, 2, 7]))

    @GROUPED
    def test_shapes(self, function):
        with pytest.raises(DataError, match="do not fit together"):
            function(SCORES, PROMPTS[:3])

    @GROUPED
    @pytest.mark.parametrize("score", [math.nan, math.inf])
    def test_scores_that_are_none(self, function, score: float):
        scores = SCORES.clone()
        scores[3] = score
        with pytest.raises(DataError, match=r"trained on\n  where: completion 3"):
            function(scores, PROMPTS)
        with pytest.raises(DataError, match="trained on"):
            reinforce_advantages(scores, 0.0)

    def test_baselines(self):
        with pytest.raises(DataError, match="baselines and scores"):
            reinforce_advantages(SCORES, tensor([1.0, 2.0]))
        with pytest.raises(DataError, match="trained on"):
            reinforce_advantages(SCORES, math.nan)

    def test_broken_groups(self):
        refuse_broken_groups(tensor([3, 1, 3, 1]), 2)
        with pytest.raises(DataError, match=r"not whole\n  where: prompt 2\n  expected: 3 completions(.|\n)*found: 2"):
            refuse_broken_groups(PROMPTS, 3)

    @GROUPED
    def test_no_gradient_through_scores(self, function):
        assert not function(SCORES.clone().requires_grad_(), PROMPTS).advantages_B.requires_grad
        assert not reinforce_advantages(SCORES.clone().requires_grad_(), 0.0).requires_grad
