"""The tree: all of its completions, its exact quantities by hand and by two ways each, and its samples."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.world.exact.optimum import frontier, tilt, tree_optimum
from palate.world.exact.tree import NONE, Tree, TreeWorld, arms, random_world, tree_of, words

EXACT = {"atol": 1e-12, "rtol": 1e-12}


def test_words_are_all_there():
    tree = words(2, 6)
    assert tree.tokens_KT.shape == (2**6 + 2**6 - 1, 6)  # cut off at six letters, or ended before
    assert len(tree.children_SV) == 2**6 - 1
    rows = {tuple(row[counts].tolist()) for row, counts in zip(tree.tokens_KT, tree.mask_KT, strict=True)}
    assert len(rows) == 127
    assert (2,) in rows  # the end token at once
    assert all(2 not in row[:-1] for row in rows)


def test_hand_case():
    # Completions: end; a then end; a then b, which is cut off. Letters a, b are 0, 1 and the end token 2.
    tree = tree_of([(2,), (0, 2), (0, 0), (0, 1), (1, 2), (1, 0), (1, 1)], 3)
    assert tree.children_SV.tolist() == [[1, 2, NONE], [NONE] * 3, [NONE] * 3]
    assert tree.completions_SV.tolist() == [[NONE, NONE, 0], [2, 3, 1], [5, 6, 4]]
    logits = tensor([[math.log(2), 0.0, 0.0], [0.0, 0.0, math.log(2)], [0.0, 0.0, 0.0]], dtype=torch.float64)
    # first token: ½, ¼, ¼; after a: ¼, ¼, ½; after b: thirds
    expected = tensor([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 12, 1 / 12, 1 / 12], dtype=torch.float64)
    assert_close(tree.probabilities(logits), expected)
    assert_close(tree.visits(logits)[1], tensor([1 / 8, 1 / 8, 1 / 4], dtype=torch.float64))


@pytest.mark.parametrize("completions", [[(0,), (0, 1), (1,)], [(0,)]])
def test_what_is_no_tree(completions):
    with pytest.raises(ConfigError, match="make no tree"):
        tree_of(completions, 2)


def test_probabilities_sum_to_one_and_without_the_end_token_they_would_not(tree: Tree):
    world = random_world(tree, 0, 0.3)
    assert_close(tree.probabilities(world.reference_SV).sum().item(), 1.0, **EXACT)
    is_end_KT = tree.tokens_KT == 2
    if len(tree.children_SV) > 1:
        dropped = torch.where(tree.mask_KT & ~is_end_KT, tree.logprobs(world.reference_SV), 0.0)
        assert dropped.sum(-1).exp().sum() > 1.5


def test_rewards_have_unit_variance_and_pay_for_length():
    world = random_world(words(2, 6), 0, 0.3)
    reference = world.whole.reference_K
    assert_close((reference @ world.rewards_K).item(), 0.0, **EXACT)
    assert_close((reference @ world.rewards_K.square()).item(), 1.0, **EXACT)


@pytest.mark.parametrize("beta", [0.1, 0.3, 1.0])
def test_the_optimum_token_by_token_is_the_tilt_of_whole_completions(tree: Tree, beta: float):
    world = random_world(tree, 0, beta)
    optimum = tree_optimum(world)
    assert_close(tree.probabilities(optimum.logits_SV), world.whole.optimum(), **EXACT)
    assert_close(optimum.values_S[0].item(), world.whole.best, **EXACT)
    assert abs(world.gap(optimum.logits_SV)) < 1e-12
    # β Σ log-ratio = r - V*(empty): at the optimum every completion has one and the same penalised score
    ratios = tree.sequence_logprobs(optimum.logits_SV) - tree.sequence_logprobs(world.reference_SV)
    assert_close(world.rewards_K - beta * ratios, optimum.values_S[:1].expand(len(ratios)), **EXACT)


def test_shares():
    world = random_world(words(2, 3), 0, 0.3)
    assert world.share_of_gain(world.reference_SV) == 0
    assert_close(world.share_of_gain(tree_optimum(world).logits_SV), 1.0)


def test_samples_come_as_often_as_they_should():
    """127 counts of 20,000 draws: χ² of 126 degrees of freedom is above 200 once in 30,000 runs; the seed is fixed."""
    tree = words(2, 6)
    logits = random_world(tree, 0, 0.3).reference_SV
    drawn = tree.sample(logits, 20_000, torch.Generator().manual_seed(0))
    expected = 20_000 * tree.probabilities(logits)
    chi = ((drawn.bincount(minlength=127) - expected).square() / expected).sum()
    assert chi < 200
    swapped = 20_000 * tree.probabilities(logits.flip(-1))
    assert ((drawn.bincount(minlength=127) - swapped).square() / swapped).sum() > 1000


class TestFrontier:
    def case(self) -> TreeWorld:
        return random_world(words(2, 4), 1, 0.4)

    def test_hand_case(self):
        # reference (½, ½), rewards (1, 0), η = log 3: π = (¾, ¼), KL = ¾ log 3/2 + ¼ log 1/2
        point = tilt(tensor([0.5, 0.5]).double().log(), tensor([1.0, 0.0]).double(), math.log(3))
        assert_close(point.logprobs_K.exp(), tensor([0.75, 0.25]).double())
        assert_close(point.reward, 0.75)
        assert_close(point.kl_nats, 0.75 * math.log(1.5) + 0.25 * math.log(0.5))

    def test_the_tilt_is_the_optimum_of_the_bandit(self):
        whole = self.case().whole
        point = tilt(whole.reference_K.log(), whole.rewards_K, 1 / whole.beta)
        assert_close(point.logprobs_K.exp(), whole.optimum(), **EXACT)
        assert_close(point.reward - whole.beta * point.kl_nats, whole.best, **EXACT)

    def test_slopes_are_a_variance_and_covariances(self):
        whole, eta, step = self.case().whole, 1.3, 1e-5
        ref, gold = whole.reference_K.log(), torch.arange(len(whole.rewards_K)).double()
        low, at, high = (tilt(ref, whole.rewards_K, eta + d) for d in (-step, 0.0, step))
        deviations = whole.rewards_K - at.reward
        variance = at.mean(deviations.square())
        assert_close((high.reward - low.reward) / (2 * step), variance, atol=1e-7, rtol=1e-7)
        assert_close((high.kl_nats - low.kl_nats) / (2 * step), eta * variance, atol=1e-7, rtol=1e-7)
        slope = (high.mean(gold) - low.mean(gold)) / (2 * step)
        assert_close(slope, at.mean(deviations * gold), atol=1e-7, rtol=1e-7)

    def test_it_has_the_kl_that_was_asked_for_and_nobody_has_more_reward(self):
        whole = self.case().whole
        ref = whole.reference_K.log()
        point = frontier(ref, whole.rewards_K, 0.7)
        assert_close(point.kl_nats, 0.7, **EXACT)
        generator = torch.Generator().manual_seed(0)
        for _ in range(50):  # tilts by other rewards, as far away
            other = whole.rewards_K + torch.randn(len(ref), generator=generator, dtype=torch.float64)
            rival = frontier(ref, other, 0.7)
            assert rival.mean(whole.rewards_K) < point.reward

    def test_no_kl_buys_the_reference(self):
        whole = self.case().whole
        assert frontier(whole.reference_K.log(), whole.rewards_K, 0.0).eta == 0

    @pytest.mark.parametrize("kl_nats", [-0.1, 50.0, math.nan])
    def test_a_kl_that_cannot_be_spent(self, kl_nats: float):
        whole = self.case().whole
        with pytest.raises(DataError, match="best completion alone"):
            frontier(whole.reference_K.log(), whole.rewards_K, kl_nats)


def test_a_bandit_is_a_tree_of_one_prefix():
    world = random_world(arms(5), 0, 0.3)
    assert world.reference_SV.shape == (1, 5)
    assert_close(world.whole.reference_K, world.reference_SV[0].softmax(-1))
