"""PPO and DPO against the exact optimum of J(π) = E_π[r] - β KL(π ‖ π_ref), and wrong variants that miss it.

The world is one prompt with twelve possible completions of one token. The policy is a softmax over twelve
logits that start at the reference. What is measured is the share of the possible gain that was missed,
(J* - J(π)) / (J* - J(π_ref)): 0 at the optimum, 1 for a policy that has learned nothing.

The wrong variants, some of them from libraries that people use, are here because a bound that they passed
would prove nothing.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from palate.functional.dpo import dpo_loss
from palate.functional.gae import gae
from palate.functional.kl import k1, k2, k3
from palate.functional.logprobs import token_logprobs
from palate.functional.masked import whiten
from palate.functional.ppo import policy_loss, value_loss
from palate.functional.rewards import token_rewards
from palate.world.exact import TabularBandit

ARMS, BETA = 12, 0.3
SEEDS = (1, 2, 3)
SAMPLED_BOUND = 0.01
"""Of the possible gain. PPO as it should be misses at most 0.0002 of it, on twenty seeds."""
EXACT_BOUND = 1e-8
"""In reward units. DPO as it should be misses less than 1e-14, the mildest mutant 0.007."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors of 512 numbers only lose time on several
    yield
    torch.set_num_threads(before)


def make_bandit(seed: int) -> TabularBandit:
    rewards, logits = torch.randn(2, ARMS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return TabularBandit(rewards, logits.softmax(-1), BETA)


def missed_gain(bandit: TabularBandit, policy_K: Tensor) -> float:
    possible = bandit.best - bandit.objective(bandit.reference_K)
    return (bandit.best - bandit.objective(policy_K)) / possible


# PPO, sampled -----------------------------------------------------------------------------------------

Rewards = Callable[..., Tensor]
Estimator = Callable[[Tensor, Tensor], Tensor]


def no_penalty(_logprobs: Tensor, _ref_logprobs: Tensor) -> Tensor:
    return torch.zeros((), dtype=torch.float64)


def ppo(
    bandit: TabularBandit,
    seed: int,
    rewards: Rewards = token_rewards,
    penalty: Estimator = no_penalty,
    normalise: Callable[[Tensor, Tensor], Tensor] = whiten,
    batch: int = 512,
    iterations: int = 120,
) -> Tensor:
    """The policy that PPO ends with, built from the same formulas in the same order as the recipe.

    Whitening does not move the optimum. It subtracts the batch mean, a baseline, and E[∇ log π] = 0; and it
    divides score and penalty, which stand in the same reward, by the same positive number. So, up to terms
    of one over the batch, the expected gradient is a positive multiple of that of J, with the same zeros. It
    does change the steps: close to the optimum all advantages are small and are scaled up again, so the steps
    do not shrink by themselves; the learning rate, which falls to 0, has to do it.
    """
    generator = torch.Generator().manual_seed(seed)
    ref_logits_K = bandit.reference_K.log()
    logits_K = ref_logits_K.clone().requires_grad_()
    value = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits_K, value])
    mask_BT = torch.ones(batch, 1, dtype=torch.bool)

    def logprobs_of(logits: Tensor, tokens_BT: Tensor) -> Tensor:
        return token_logprobs(logits.expand(*tokens_BT.shape, ARMS), tokens_BT)

    for iteration in range(iterations):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - iteration / iterations)
        with torch.no_grad():
            tokens_BT = logits_K.softmax(-1).multinomial(batch, True, generator=generator).unsqueeze(-1)
            old_BT, ref_BT = logprobs_of(logits_K, tokens_BT), logprobs_of(ref_logits_K, tokens_BT)
            scores_B = bandit.rewards_K[tokens_BT[:, -1]]
            rewards_BT = rewards(scores_B, old_BT, ref_BT, mask_BT, beta=bandit.beta)
            old_values_BT = value.repeat(batch, 1)
            advantages_BT, returns_BT = gae(rewards_BT, old_values_BT, mask_BT, discount=1.0, lam=0.95)
            advantages_BT = normalise(advantages_BT, mask_BT)
        for _epoch in range(2):
            for rows in torch.randperm(batch, generator=generator).split(batch // 2):
                new_BT = logprobs_of(logits_K, tokens_BT[rows])
                policy = policy_loss(new_BT, old_BT[rows], advantages_BT[rows], mask_BT[rows], clip=0.2)
                values_BT = value.expand(len(rows), 1)
                critic = value_loss(values_BT, old_values_BT[rows], returns_BT[rows], mask_BT[rows], clip=0.2)
                loss = policy.loss + 0.5 * critic.loss + penalty(new_BT, ref_BT[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return logits_K.detach().softmax(-1)


def as_they_are(advantages_BT: Tensor, _mask_BT: Tensor) -> Tensor:
    return advantages_BT


@pytest.mark.parametrize("seed", SEEDS)
def test_sampled_ppo_comes_close_to_the_optimum(seed: int):
    bandit = make_bandit(seed)
    assert missed_gain(bandit, ppo(bandit, seed)) <= SAMPLED_BOUND


def test_without_whitening_the_optimum_is_the_same():
    bandit = make_bandit(3)
    assert missed_gain(bandit, ppo(bandit, 3, normalise=as_they_are)) <= SAMPLED_BOUND


def rewards_with(estimator: Estimator) -> Rewards:
    def rewards(
        scores_B: Tensor, logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor, *, beta: float
    ) -> Tensor:
        bare_BT = token_rewards(scores_B, logprobs_BT, ref_logprobs_BT, mask_BT, beta=0.0)
        return bare_BT - beta * estimator(logprobs_BT, ref_logprobs_BT)

    return rewards


WRONG_REWARDS: dict[str, Rewards] = {
    "k2": rewards_with(k2),
    "k3": rewards_with(k3),
    "k1, but never below 0": rewards_with(lambda a, b: k1(a, b).clamp(min=0)),
    "no penalty": rewards_with(lambda a, b: 0 * a),
    "policy and reference swapped": rewards_with(lambda a, b: k1(b, a)),
    "twice the penalty": rewards_with(lambda a, b: 2 * k1(a, b)),
    "score with the wrong sign": lambda s, *rest, beta: token_rewards(-s, *rest, beta=beta),
}


def test_the_frame_of_the_wrong_rewards_is_not_what_makes_them_wrong():
    bandit = make_bandit(3)
    assert missed_gain(bandit, ppo(bandit, 3, rewards_with(k1))) <= SAMPLED_BOUND


@pytest.mark.parametrize("name", WRONG_REWARDS)
def test_wrong_rewards_miss_the_bound(name: str):
    """By far on this seed, where scores and penalty weigh about the same; by less on seeds 0 to 2."""
    bandit = make_bandit(3)
    assert missed_gain(bandit, ppo(bandit, 3, WRONG_REWARDS[name])) > 5 * SAMPLED_BOUND


def ppo_with_penalty_in_the_loss(bandit: TabularBandit, seed: int, estimator: Estimator) -> Tensor:
    """Not whitened: that would scale the scores and not the penalty, and so change β."""

    def penalty(logprobs_BT: Tensor, ref_logprobs_BT: Tensor) -> Tensor:
        return bandit.beta * estimator(logprobs_BT, ref_logprobs_BT).mean()

    return ppo(bandit, seed, WRONG_REWARDS["no penalty"], penalty, as_they_are)


@pytest.mark.parametrize(("estimator", "is_right"), [(k1, False), (k2, True), (k3, False)])
def test_in_the_loss_only_k2_is_a_penalty(estimator: Estimator, is_right: bool):
    bandit = make_bandit(3)
    missed = missed_gain(bandit, ppo_with_penalty_in_the_loss(bandit, 3, estimator))
    assert missed <= SAMPLED_BOUND if is_right else missed > 5 * SAMPLED_BOUND


# DPO, in expectation ----------------------------------------------------------------------------------


def population_dpo(bandit: TabularBandit, loss_of: Callable[..., Tensor]) -> Tensor:
    """The policy that minimises the expected loss over all pairs of different arms, each shown once.

    The soft label of a pair is the share of raters who prefer the first, σ(rᵢ - rⱼ): what infinitely many
    Bradley-Terry raters would leave.
    """
    first_N, second_N = torch.triu_indices(ARMS, ARMS, offset=1)
    p_first_N = (bandit.rewards_K[first_N] - bandit.rewards_K[second_N]).sigmoid()
    ref_logprobs_K = bandit.reference_K.log()
    logits_K = ref_logprobs_K.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits_K],
        max_iter=1000,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logprobs_K = logits_K.log_softmax(-1)
        loss = loss_of(
            logprobs_K[first_N],
            logprobs_K[second_N],
            ref_logprobs_K[first_N],
            ref_logprobs_K[second_N],
            p_first_N,
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    return logits_K.detach().softmax(-1)


def right_dpo(pc: Tensor, pr: Tensor, rc: Tensor, rr: Tensor, p: Tensor) -> Tensor:
    return dpo_loss(pc, pr, rc, rr, beta=BETA, p_chosen_N=p).loss


WRONG_DPO: dict[str, Callable[..., Tensor]] = {
    "chosen and rejected swapped": lambda pc, pr, rc, rr, p: right_dpo(pr, pc, rr, rc, p),
    "label of the other side": lambda pc, pr, rc, rr, p: right_dpo(pc, pr, rc, rr, 1 - p),
    "reference swapped": lambda pc, pr, rc, rr, p: right_dpo(pc, pr, rr, rc, p),
    "no reference": lambda pc, pr, rc, rr, p: right_dpo(pc, pr, 0 * rc, 0 * rr, p),
    "β doubled": lambda pc, pr, rc, rr, p: dpo_loss(pc, pr, rc, rr, beta=2 * BETA, p_chosen_N=p).loss,
    "labels made certain": lambda pc, pr, rc, rr, p: right_dpo(pc, pr, rc, rr, p.round()),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_population_dpo_reaches_the_optimum(seed: int):
    bandit = make_bandit(seed)
    policy_K = population_dpo(bandit, right_dpo)
    assert bandit.best - bandit.objective(policy_K) < EXACT_BOUND
    torch.testing.assert_close(policy_K, bandit.optimum(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_way_a_pair_is_shown_does_not_matter(seed: int):
    bandit = make_bandit(seed)
    policy_K = population_dpo(bandit, lambda pc, pr, rc, rr, p: right_dpo(pr, pc, rr, rc, 1 - p))
    assert bandit.best - bandit.objective(policy_K) < EXACT_BOUND


@pytest.mark.parametrize("name", WRONG_DPO)
@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_dpo_misses_the_bound(name: str, seed: int):
    bandit = make_bandit(seed)
    policy_K = population_dpo(bandit, WRONG_DPO[name])
    assert bandit.best - bandit.objective(policy_K) > 1e5 * EXACT_BOUND
