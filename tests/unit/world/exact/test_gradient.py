"""Every algorithm's expected step ends at the optimum of J, to 1e-8; and wrong ones end where theory says.

Nothing is sampled: all completions, or all groups of two, with their probabilities, through the functions that
recipes call. What is right misses less than 1e-11; the mildest wrong variant below misses 0.055.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from palate.functional.advantages import standardised_advantages
from palate.functional.kl_placement import KLPenalty, kl_loss, penalised_scores
from palate.world.exact import gradient
from palate.world.exact.gradient import ALGORITHMS, ascend, grpo, no_values, ppo, reach, reinforce
from palate.world.exact.tree import Tree, TreeWorld, arms, random_world, words

BOUND = 1e-8
MISS = 0.05
"""In reward units; rewards have variance 1."""


@pytest.mark.parametrize(
    "beta", [pytest.param(0.1, marks=pytest.mark.slow), 0.3, pytest.param(1.0, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_end_is_the_optimum(tree: Tree, algorithm: str, beta: float):
    world = random_world(tree, 0, beta)
    assert world.gap(world.reference_SV) > 0.3  # there is something to be won
    assert abs(world.gap(reach(world, algorithm).logits_SV)) <= BOUND


def true_gradient(world: TreeWorld, logits: Tensor) -> Tensor:
    """Of -J, from its definition."""
    ours, refs = world.tree.sequence_logprobs(logits), world.tree.sequence_logprobs(world.reference_SV)
    return torch.autograd.grad(-(ours.exp() @ (world.rewards_K - world.beta * (ours - refs))), logits)[0]


def step_of(world: TreeWorld, loss: Callable[..., Tensor], logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss(world, logits), logits)[0]


def somewhere(world: TreeWorld) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(world.reference_SV.shape, generator=generator, dtype=torch.float64).requires_grad_()


class TestOnTheWay:
    """Ending right is one thing; here the step itself is that of J, away from the optimum."""

    @pytest.mark.parametrize(
        ("algorithm", "factor"),
        # a group's own mean halves groups of two; Dr. GRPO divides by the longest completion, six tokens
        [("reinforce", 1), ("rloo", 1), ("ppo", 1), ("ppo_lambda_1", 1), ("dr_grpo", 1 / 12)],
    )
    def test_the_expected_step_is_the_gradient_of_j(self, algorithm: str, factor: float):
        world = random_world(words(2, 6), 0, 0.3)
        logits = somewhere(world)
        found = step_of(world, ALGORITHMS[algorithm], logits)
        assert_close(found, factor * true_gradient(world, logits), atol=1e-12, rtol=1e-12)

    @pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
    def test_with_exact_values_lambda_does_not_matter(self, lam: float):
        world = random_world(words(2, 6), 0, 0.3)
        logits = somewhere(world)
        found = step_of(world, partial(ppo, lam=lam), logits)
        assert_close(found, true_gradient(world, logits), atol=1e-12, rtol=1e-12)

    @pytest.mark.parametrize("loss", [grpo, partial(grpo, advantages=standardised_advantages)])
    def test_length_and_deviation_bend_the_way(self, loss: Callable[..., Tensor]):
        world = random_world(words(2, 6), 0, 0.3)
        logits = somewhere(world)
        found, right = step_of(world, loss, logits), true_gradient(world, logits)
        assert torch.cosine_similarity(found.flatten(), right.flatten(), dim=0) < 0.99


def wrong_penalty(estimator: str) -> Callable[..., Tensor]:
    """The penalty as a recipe would have it that was told to accept a wrong optimum."""
    wrong = KLPenalty(estimator=estimator, accept_wrong_optimum=True)

    def penalise(*rows: Tensor, beta: float, penalty: KLPenalty) -> Tensor:
        return penalised_scores(*rows, beta=beta, penalty=wrong)

    return partial(reinforce, penalise=penalise)


def mean_over_tokens(scores: Tensor, ours: Tensor, refs: Tensor, mask: Tensor, *, beta: float, penalty: KLPenalty):
    lengths = mask.sum(-1)
    summed = penalised_scores(torch.zeros_like(scores), ours, refs, mask, beta=beta, penalty=penalty)
    return scores + summed / lengths


def last_token_only(scores: Tensor, ours: Tensor, refs: Tensor, mask: Tensor, *, beta: float, penalty: KLPenalty):
    last = mask & (mask.flip(-1).cumsum(-1).flip(-1) == 1)
    return penalised_scores(scores, ours, refs, last, beta=beta, penalty=penalty)


def without_the_end(scores: Tensor, ours: Tensor, refs: Tensor, mask: Tensor, *, beta: float, penalty: KLPenalty):
    last = mask & (mask.flip(-1).cumsum(-1).flip(-1) == 1)
    return penalised_scores(scores, ours, refs, mask & ~last, beta=beta, penalty=penalty)


WRONG: dict[str, Callable[..., Tensor]] = {
    "k2 in the reward": wrong_penalty("k2"),
    "k3 in the reward": wrong_penalty("k3"),
    "mean of k1 over tokens": partial(reinforce, penalise=mean_over_tokens),
    "KL of the last token only": partial(reinforce, penalise=last_token_only),
    "KL without the last token": partial(reinforce, penalise=without_the_end),
    "discount": partial(ppo, discount=0.9),
    "a wrong critic and λ below 1": partial(ppo, critic=no_values),
}


class TestWrong:
    @pytest.mark.parametrize("name", WRONG)
    def test_it_ends_elsewhere(self, name: str):
        world = random_world(words(2, 6), 0, 0.3)
        end = ascend(world, WRONG[name], steps=300, step_size=0.2)
        assert not abs(world.gap(end.logits_SV)) < MISS

    def test_small_steps_are_not_what_makes_them_wrong(self):
        world = random_world(words(2, 6), 0, 0.3)
        for loss in (reinforce, ppo):
            assert world.gap(ascend(world, loss, steps=300, step_size=0.2).logits_SV) < BOUND

    @pytest.mark.parametrize("estimator", ["k2", "k3"])
    def test_in_the_reward_what_is_suppressed_runs_away(self, estimator: str):
        """The penalty pays for being rare: some completion is soon rarer than any optimum makes it."""
        world = random_world(arms(12), 0, 0.3)
        end = ascend(world, wrong_penalty(estimator), steps=300, step_size=0.2)
        log_ratios = (end.logits_SV - world.reference_SV.log_softmax(-1)).min()
        wanted = (world.whole.optimum() / world.whole.reference_K).log().min()
        assert not log_ratios > 5 * wanted

    def test_a_mean_over_tokens_ends_where_long_completions_leave_the_reference_for_less(self):
        """Its penalised score is the same everywhere at π = π_ref exp(|y| (r - λ) / β), λ such that π sums to 1."""
        world = random_world(words(2, 6), 0, 0.3)
        end = ascend(world, WRONG["mean of k1 over tokens"], steps=2000, step_size=1.0)
        tree, lengths = world.tree, world.tree.mask_KT.sum(-1)
        ratios = tree.sequence_logprobs(end.logits_SV) - tree.sequence_logprobs(world.reference_SV)
        levels = world.rewards_K - world.beta * ratios / lengths
        assert levels.max() - levels.min() < 1e-6


def penalty_in_the_loss(estimator: str, level: str = "sequence") -> Callable[..., Tensor]:
    """REINFORCE on bare scores, and the estimator as a term of the loss, completion by completion."""
    cell = KLPenalty(estimator=estimator, placement="loss", level=level, accept_wrong_optimum=True)

    def loss(world: TreeWorld, logits: Tensor) -> Tensor:
        rows = gradient.completions(world, logits)
        total = reinforce(world, logits, penalise=lambda scores, *_, **__: scores)
        for i, chance in enumerate(rows.chances_B):
            row = slice(i, i + 1)
            term = kl_loss(rows.logprobs_BT[row], rows.ref_logprobs_BT[row], rows.mask_BT[row], penalty=cell)
            total = total + world.beta * chance * term
        return total

    return loss


class TestInTheLoss:
    def test_k1_is_no_penalty_at_all(self):
        world = random_world(arms(12), 0, 0.3)
        bare = partial(reinforce, penalise=lambda scores, *_, **__: scores)
        with_k1, without = (ascend(world, x, steps=120, step_size=0.5) for x in (penalty_in_the_loss("k1"), bare))
        assert_close(with_k1.logits_SV, without.logits_SV, atol=1e-8, rtol=1e-8)
        assert with_k1.logits_SV.argmax() == world.rewards_K.argmax()
        assert with_k1.logits_SV.max() > -1e-2  # nearly all on one arm
        assert world.gap(with_k1.logits_SV) > MISS

    def test_k2_per_sequence_is_right_and_per_token_is_not(self):
        world = random_world(words(2, 3), 0, 0.3)
        ends = [ascend(world, penalty_in_the_loss("k2", level), steps=150) for level in ("sequence", "token")]
        assert abs(world.gap(ends[0].logits_SV)) <= BOUND
        assert world.gap(ends[1].logits_SV) > MISS

    def test_k3_is_the_other_kl(self):
        """It ends at π = β π_ref / (λ - r), λ above every reward and such that π sums to 1."""
        world = random_world(arms(12), 0, 0.3)
        low = world.rewards_K.max()
        high = low + world.beta
        for _ in range(200):  # the sum falls in λ: halve the interval
            middle = (low + high) / 2
            too_much = (world.beta * world.whole.reference_K / (middle - world.rewards_K)).sum() > 1
            low, high = (middle, high) if too_much else (low, middle)
        expected = world.beta * world.whole.reference_K / (high - world.rewards_K)
        end = ascend(world, penalty_in_the_loss("k3"), steps=600, step_size=0.1)
        assert_close(world.tree.probabilities(end.logits_SV), expected, atol=1e-5, rtol=0)
        assert world.gap(end.logits_SV) > MISS
