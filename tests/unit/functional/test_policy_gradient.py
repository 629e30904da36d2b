"""REINFORCE, GRPO, Dr. GRPO, sequence-level PPO and importance weights, against exact gradients on a tree."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.nn.functional import pad
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.importance import sequence_importance
from palate.functional.policy_gradient import dr_grpo_loss, grpo_loss, reinforce_loss, sequence_policy_loss
from palate.functional.ppo import policy_loss

NAN, INF = math.nan, math.inf
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def reinforce(logprobs, old, advantages, mask, **settings):
    """With importance weights, so that old log-probabilities play their part in it as well."""
    weights = sequence_importance(logprobs, old, mask, cap=2.0).weights_B
    return reinforce_loss(logprobs, advantages, mask, importance_B=weights, **settings)


def value(found) -> Tensor:
    return found if isinstance(found, Tensor) else found.loss


LOSSES = {
    "reinforce": reinforce,
    "grpo": partial(grpo_loss, clip=0.2),
    "dr-grpo": partial(dr_grpo_loss, clip=0.2, max_tokens=9),
    "sequence": partial(sequence_policy_loss, clip=0.4),
}
ALL = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def random_case(seed: int = 0, rows: int = 6, length: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """New and old log-probs, an advantage a completion, a mask."""
    generator = torch.Generator().manual_seed(seed)
    old, moved = torch.randn(2, rows, length, generator=generator, dtype=torch.float64)
    advantages = torch.randn(rows, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, length + 1, (rows, 1), generator=generator)
    return old + 0.3 * moved, old, advantages, torch.arange(length)[None] < lengths


class TestByHand:
    # two tokens of ratio 1.1 and 1.5 with A = 1, one of ratio 0.5 with A = -2; clip 0.2
    logprobs = tensor([[1.1, 1.5], [0.5, NAN]]).double().log()
    old = torch.zeros(2, 2).double()
    advantages = tensor([1.0, -2.0]).double()
    mask = tensor([[True, True], [True, False]])
    case = (logprobs, old, advantages, mask)

    def test_grpo(self):
        # (1.1 + 1.2) / 2 = 1.15 and -2 · 0.8 = -1.6: -(1.15 - 1.6) / 2
        assert_close(grpo_loss(*self.case, clip=0.2).loss.item(), 0.225)
        assert_close(grpo_loss(*self.case, clip=0.2, completions=10).loss.item(), 0.045)

    def test_dr_grpo(self):
        # sums 2.3 and -1.6 over 5 tokens that could have been: -(0.46 - 0.32) / 2
        found = dr_grpo_loss(*self.case, clip=0.2, max_tokens=5)
        assert_close(found.loss.item(), -0.07)
        # the facts are those of PPO: two of three clipped
        assert_close(found.clip_fraction.item(), 2 / 3)
        assert_close(found.max_ratio_error.item(), 0.5)

    def test_sequence(self):
        # ratios 1.65 and 0.5: min(1.65, 1.2) = 1.2 and -2 · max(0.5, 0.8) = -1.6: -(1.2 - 1.6) / 2
        found = sequence_policy_loss(*self.case, clip=0.2)
        assert_close(found.loss.item(), 0.2)
        assert_close(found.clip_fraction.item(), 1.0)
        assert_close(found.max_ratio_error.item(), 0.65)

    def test_reinforce(self):
        # -(log 1.65 - 2 log 0.5) / 2
        expected = -(math.log(1.65) - 2 * math.log(0.5)) / 2
        assert_close(reinforce_loss(self.logprobs, self.advantages, self.mask).item(), expected)
        weights = tensor([2.0, 0.5]).double()
        expected = -(2 * math.log(1.65) - math.log(0.5)) / 2
        assert_close(reinforce_loss(self.logprobs, self.advantages, self.mask, importance_B=weights).item(), expected)

    def test_importance(self):
        # ratios 1.65 and 0.5, capped at 1.5; (2)² / (2 · (2.25 + 0.25))
        found = sequence_importance(self.logprobs, self.old, self.mask, cap=1.5)
        assert_close(found.weights_B, tensor([1.5, 0.5]).double())
        assert_close(found.truncated.item(), 0.5)
        assert_close(found.effective.item(), 0.8)
        assert_close(found.largest_log_ratio.item(), math.log(2))


class TestAgainstTheTree:
    """Each completion as often as it is sampled; its advantage is its score, weighted by that."""

    def gradient(self, tree, loss, table, sampled_by, scores) -> Tensor:
        """Expected, of a loss that is linear in advantages (no clip)."""
        chance = tree.probabilities(sampled_by).detach()
        advantages = 15 * chance * scores
        old = tree.logprobs(sampled_by).detach()
        return torch.autograd.grad(value(loss(tree.logprobs(table), old, advantages, tree.mask_BT)), table)[0]

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize(
        "loss",
        [
            lambda new, _, a, m: reinforce_loss(new, a, m),
            partial(dr_grpo_loss, clip=INF, max_tokens=1),
            partial(sequence_policy_loss, clip=INF),
        ],
        ids=["reinforce", "dr-grpo", "sequence"],
    )
    def test_fresh_samples_give_the_policy_gradient(self, tree, loss, seed: int):
        table, scores = tree.policy(seed), tree.scores(seed)
        assert_close(self.gradient(tree, loss, table, table, scores), -tree.policy_gradient(table, scores), **EXACT)

    def test_grpo_does_not(self, tree):
        """Divided by its length, a long completion's score counts for less: not a scale but another direction."""
        table, scores = tree.policy(0), tree.scores(0)
        found = self.gradient(tree, partial(grpo_loss, clip=INF), table, table, scores)
        right = -tree.policy_gradient(table, scores)
        assert torch.cosine_similarity(found.flatten(), right.flatten(), dim=0) < 0.99

    def test_the_end_token_counts(self, tree):
        """The mutant that drops it has another gradient."""
        table, scores = tree.policy(0), tree.scores(0)
        chance = tree.probabilities(table).detach()
        mask = tree.mask_BT & (tree.tokens_BT != 2)
        loss = reinforce_loss(tree.logprobs(table), 15 * chance * scores, mask, completions=15)
        (found,) = torch.autograd.grad(loss, table)
        assert (found + tree.policy_gradient(table, scores)).norm() > 0.1

    @pytest.mark.parametrize("seed", range(3))
    def test_stale_samples_with_importance_weights(self, tree, seed: int):
        table, stale, scores = tree.policy(seed), tree.policy(seed + 10), tree.scores(seed)
        right = -tree.policy_gradient(table, scores)

        def corrected(new, old, advantages, mask):
            weights = sequence_importance(new, old, mask, cap=INF).weights_B
            return reinforce_loss(new, advantages, mask, importance_B=weights)

        def per_token(new, old, advantages, mask):
            return dr_grpo_loss(new, old, advantages, mask, clip=INF, max_tokens=1)

        assert_close(self.gradient(tree, corrected, table, stale, scores), right, **EXACT)
        ratio = partial(sequence_policy_loss, clip=INF)
        assert_close(self.gradient(tree, ratio, table, stale, scores), right, **EXACT)
        for wrong in (lambda new, _, a, m: reinforce_loss(new, a, m), per_token):
            assert (self.gradient(tree, wrong, table, stale, scores) - right).norm() > 0.1 * right.norm()

    @pytest.mark.parametrize("cap", [1.0, 2.0, INF])
    def test_mean_weight(self, tree, cap: float):
        """Without a cap it is 1; with one it is what the cap leaves of the policy's mass."""
        table, stale = tree.policy(0).detach(), tree.policy(10).detach()
        found = sequence_importance(tree.logprobs(table), tree.logprobs(stale), tree.mask_BT, cap=cap)
        p, q = tree.probabilities(table), tree.probabilities(stale)
        assert_close(q @ found.weights_B, torch.minimum(p, cap * q).sum(), **EXACT)
        if cap == INF:
            assert_close(q @ found.weights_B, torch.ones_like(q[0]), **EXACT)


@given(st.integers(0, 2**16), st.floats(0, 1))
@settings(max_examples=20)
def test_one_token_each_makes_all_the_same(seed: int, clip: float):
    logprobs, old, advantages, _ = random_case(seed, length=1)
    mask = torch.ones(6, 1, dtype=torch.bool)
    case = (logprobs, old, advantages, mask)
    expected = policy_loss(logprobs, old, advantages[:, None], mask, clip=clip)
    for found in (
        grpo_loss(*case, clip=clip),
        dr_grpo_loss(*case, clip=clip, max_tokens=1),
        sequence_policy_loss(*case, clip=clip),
    ):
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b)


@ALL
@given(st.integers(0, 2**16), st.lists(st.integers(1, 5), max_size=3, unique=True))
@settings(max_examples=10)
def test_micro_batches_add_up(loss, seed: int, cuts: list[int]):
    case = random_case(seed)
    case[3][2] = False  # no completion: it must not count in the denominator
    logprobs = case[0].requires_grad_()
    whole = value(loss(*case))
    sizes = tensor([0, *sorted(cuts), 6]).diff().tolist()
    total = sum(value(loss(*part, completions=5)) for part in zip(*(x.split(sizes) for x in case), strict=True))
    assert_close(total, whole, **EXACT)
    assert_close(*(torch.autograd.grad(x, logprobs)[0] for x in (total, whole)), **EXACT)


@ALL
@pytest.mark.parametrize("garbage", [NAN, INF, -INF, 1e30])
def test_padding_reaches_neither_value_nor_gradient(loss, garbage: float):
    logprobs, old, advantages, mask = random_case()
    mask[4] = False
    clean = logprobs.clone().requires_grad_()
    dirty = torch.where(mask, logprobs, garbage).requires_grad_()
    dirty_old = torch.where(mask, old, -garbage)
    advantages_dirty = advantages.clone()
    advantages_dirty[4] = garbage
    expected = value(loss(clean, old, advantages, mask))
    found = value(loss(dirty, dirty_old, advantages_dirty, mask))
    assert torch.equal(found, expected)
    (gradient,) = torch.autograd.grad(found, dirty)
    assert torch.equal(gradient, torch.autograd.grad(expected, clean)[0])
    assert (gradient[~mask] == 0).all()
    wide = value(loss(*(pad(x, (2, 1), value=garbage) for x in (logprobs, old)), advantages, pad(mask, (2, 1))))
    assert_close(wide, expected)


@ALL
def test_gradient(loss, request):
    logprobs, old, advantages, mask = random_case(2)
    logprobs.requires_grad_()
    if "reinforce" in request.node.name:  # its weights are held on purpose
        weights = torch.rand(6).double()
        assert torch.autograd.gradcheck(
            lambda x: reinforce_loss(x, advantages, mask, importance_B=weights), (logprobs,)
        )
        return
    assert torch.autograd.gradcheck(lambda x: loss(x, old, advantages, mask).loss, (logprobs,))


@ALL
def test_only_the_policy_learns(loss):
    logprobs, old, advantages, mask = random_case()
    inputs = [x.requires_grad_() for x in (logprobs, old, advantages)]
    gradients = torch.autograd.grad(value(loss(*inputs, mask)), inputs, allow_unused=True)
    assert [g is None for g in gradients] == [False, True, True]


def test_importance_weights_learn_nothing():
    logprobs, old, advantages, mask = (x.requires_grad_() if x.dtype.is_floating_point else x for x in random_case())
    found = sequence_importance(logprobs, old, mask, cap=2.0)
    assert not any(x.requires_grad for x in found)
    weights = torch.ones(6, dtype=torch.float64, requires_grad=True)
    loss = reinforce_loss(logprobs, advantages, mask, importance_B=weights)
    assert torch.autograd.grad(loss, weights, allow_unused=True)[0] is None


@ALL
def test_nothing_counts(loss):
    *numbers, mask = random_case()
    nothing = torch.zeros_like(mask)
    assert value(loss(*numbers, nothing)).isnan()
    assert value(loss(*numbers, nothing, completions=3)) == 0


def test_extreme_ratios_stay_finite_under_the_cap():
    far = tensor([[0.0], [-2000.0], [0.0]]).double(), tensor([[-2000.0], [0.0], [0.0]]).double()
    found = sequence_importance(*far, torch.ones(3, 1, dtype=torch.bool), cap=2.0)
    assert_close(found.weights_B, tensor([2.0, 0.0, 1.0]).double())
    assert all(x.isfinite().all() for x in found)


class TestWrongUse:
    @ALL
    def test_shapes(self, loss):
        logprobs, old, advantages, mask = random_case()
        with pytest.raises(DataError, match="do not fit together"):
            loss(logprobs, old, advantages[:, None].expand(6, 5), mask)

    @pytest.mark.parametrize("name", ["grpo", "dr-grpo", "sequence"])
    @pytest.mark.parametrize("clip", [-0.1, NAN])
    def test_clip(self, name: str, clip: float):
        with pytest.raises(ConfigError, match="clip"):
            LOSSES[name](*random_case(), **{"clip": clip})

    def test_the_constant_of_dr_grpo(self):
        with pytest.raises(ConfigError, match=r"Dr\. GRPO"):
            dr_grpo_loss(*random_case(), clip=0.2, max_tokens=0)

    @pytest.mark.parametrize("cap", [0.5, 0.0, NAN])
    def test_cap(self, cap: float):
        logprobs, old, _, mask = random_case()
        with pytest.raises(ConfigError, match="cap"):
            sequence_importance(logprobs, old, mask, cap=cap)
