"""DPO, robust DPO, IPO and KTO where every pair was judged by infinitely many raters: closed forms.

Right ones miss less than 1e-11 in J, and 1e-7 in probability for IPO, whose loss is too flat for more.
"""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from palate.functional.dpo import dpo_loss, ipo_loss
from palate.functional.kto import kto_loss, kto_reference_point
from palate.functional.labels import denoised_labels, smoothed_labels
from palate.world.exact.population import all_pairs, minimise
from palate.world.exact.tree import Tree, TreeWorld, arms, random_world, words

BOUND = 1e-8
MISS = 0.004
"""In reward units; the mildest wrong variant below misses 0.005."""
FLIPS = 0.25
BETAS = pytest.mark.parametrize("beta", [0.1, 0.3, 1.0])


def test_hand_case():
    # rewards log 3, 0: the first wins against the second by ¾, and against one of both, evenly, by (½ + ¾) / 2
    pairs = all_pairs(torch.tensor([3.0, 1.0]).double().log())
    assert (pairs.first_N.tolist(), pairs.second_N.tolist()) == ([0], [1])
    assert_close(pairs.p_first_N, torch.tensor([0.75]).double())
    assert_close(pairs.wins(2), torch.tensor([0.625, 0.375]).double())


@BETAS
def test_dpo_ends_where_reinforcement_learning_ends(tree: Tree, beta: float):
    world = random_world(tree, 0, beta)
    assert abs(world.gap(minimise(world, dpo_loss))) <= BOUND


@BETAS
def test_robust_dpo_does_not_see_the_flips(tree: Tree, beta: float):
    world = random_world(tree, 0, beta)
    learned = minimise(world, dpo_loss, flip_rate=FLIPS, labels=partial(denoised_labels, flip_rate=FLIPS))
    assert abs(world.gap(learned)) <= BOUND


@BETAS
def test_ipo_tilts_by_the_probability_to_win(tree: Tree, beta: float):
    world = random_world(tree, 0, beta)
    wins_K = all_pairs(world.rewards_K).wins(len(world.rewards_K))
    expected = (world.whole.reference_K.log() + wins_K / beta).softmax(-1)
    learned = tree.probabilities(minimise(world, ipo_loss))
    assert_close(learned, expected, atol=1e-7, rtol=0)
    assert (expected - world.whole.optimum()).abs().max() > 0.05  # which is not the optimum of J


def mean_logprobs(loss, tree: Tree):
    """As if log-probabilities were means over tokens."""
    first_N, second_N = all_pairs(torch.zeros(len(tree.mask_KT)))[:2]
    lengths = [tree.mask_KT.sum(-1)[at].repeat(2) for at in (first_N, second_N, first_N, second_N)]
    return lambda *sides, **rest: loss(*(x / n for x, n in zip(sides, lengths, strict=True)), **rest)


class TestWrong:
    def world(self, tree: Tree) -> TreeWorld:
        return random_world(tree, 1, 0.3)

    def test_flips_that_nobody_undoes(self, tree: Tree):
        world = self.world(tree)
        plain = world.gap(minimise(world, dpo_loss, flip_rate=FLIPS))
        smooth = world.gap(minimise(world, dpo_loss, flip_rate=FLIPS, labels=partial(smoothed_labels, flip_rate=FLIPS)))
        assert smooth > plain > MISS  # smoothing goes a second step in the direction of the error

    def test_the_wrong_beta(self, tree: Tree):
        world = self.world(tree)
        twice = lambda *sides, beta, **rest: dpo_loss(*sides, beta=2 * beta, **rest)  # noqa: E731
        assert world.gap(minimise(world, twice)) > MISS

    def test_a_mean_over_tokens(self):
        world = self.world(words(2, 4))
        assert world.gap(minimise(world, mean_logprobs(dpo_loss, world.tree))) > MISS

    def test_no_reference(self, tree: Tree):
        world = self.world(tree)
        bare = lambda a, b, c, d, **rest: dpo_loss(a, b, 0 * c, 0 * d, **rest)  # noqa: E731
        assert world.gap(minimise(world, bare)) > MISS


class TestKTO:
    """Completions of the reference, called good with probability σ(r): the whole population at once."""

    def population(self, logits: Tensor, world: TreeWorld, good: float = 1.0, bad: float = 1.0) -> Tensor:
        policy, reference = world.tree.sequence_logprobs(logits), world.tree.sequence_logprobs(world.reference_SV)
        chances = reference.exp()
        point = kto_reference_point(policy, reference, chances)
        settings = {"beta": world.beta, "reference_point_nats": point, "good_weight": good, "bad_weight": bad}
        return kto_loss(policy, reference, world.rewards_K.sigmoid(), weights_N=chances, **settings).loss

    def test_loss_and_gradient_by_hand_away_from_the_reference(self):
        """∂ℓ/∂zᵢ = cᵢ - πᵢ Σ c, cᵢ = qᵢ β s(1 - s) ((1 - p) λ_bad - p λ_good), s = σ(β (log π/q - z₀)); to 1e-10."""
        world = random_world(arms(12), 0, 0.3)
        generator = torch.Generator().manual_seed(3)
        logits = torch.randn(1, 12, generator=generator, dtype=torch.float64).requires_grad_()
        loss = self.population(logits, world, good=1.3, bad=0.8)
        policy, q, p = logits.detach()[0].softmax(-1), world.whole.reference_K, world.rewards_K.sigmoid()
        ratios = (policy / q).log()
        point = max(0.0, float(q @ ratios))
        s = 1 / (1 + (-0.3 * (ratios - point)).exp())
        assert_close(loss.detach(), q @ (1.3 * p * (1 - s) + 0.8 * (1 - p) * s), atol=1e-10, rtol=0)
        pulls = q * 0.3 * s * (1 - s) * ((1 - p) * 0.8 - p * 1.3)
        (found,) = torch.autograd.grad(loss, logits)
        assert_close(found[0], pulls - policy * pulls.sum(), atol=1e-10, rtol=0)

    def test_what_is_good_more_often_than_usual_goes_up(self):
        """At the reference ∂ℓ/∂zᵢ = -½ β qᵢ (pᵢ - Σ q p): the sign is that of p, better than the mean or not."""
        world = random_world(arms(12), 0, 0.3)
        logits = world.reference_SV.clone().requires_grad_()
        (found,) = torch.autograd.grad(self.population(logits, world), logits)
        q, p = world.whole.reference_K, world.rewards_K.sigmoid()
        assert_close(found[0], -0.5 * 0.3 * q * (p - q @ p), atol=1e-10, rtol=0)
        assert torch.equal(found[0] < 0, p > q @ p)

    def test_a_step_raises_reward(self, tree: Tree):
        world = random_world(tree, 0, 0.3)
        logits = world.reference_SV.clone().requires_grad_()
        (found,) = torch.autograd.grad(self.population(logits, world), logits)
        (ascent,) = torch.autograd.grad(tree.probabilities(logits) @ world.rewards_K, logits)
        assert (found * ascent).sum() < 0
