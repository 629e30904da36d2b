"""Every combination of KL estimator, placement and level: what it adds to the gradient, and whether it is allowed."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.nn.functional import pad
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.functional.kl_placement import Estimator, KLPenalty, Level, Placement, kl_loss, penalised_scores
from palate.functional.policy_gradient import reinforce_loss
from palate.functional.rewards import token_rewards
from palate.world.exact import TabularBandit

NAN = math.nan
EXACT = {"atol": 1e-12, "rtol": 1e-12}
CELLS = [
    KLPenalty(estimator=e, placement=p, level=n, accept_wrong_optimum=True)
    for e, p, n in product(Estimator, Placement, Level)
]
LOSSES = [cell for cell in CELLS if cell.placement is not Placement.REWARD]


def name(cell: KLPenalty) -> str:
    return cell.name.replace(" ", "-")


def gradient(tree, cell: KLPenalty, table: Tensor, reference: Tensor, sampled_by: Tensor | None = None) -> Tensor:
    """What the combination adds to the gradient, over all completions, each as often as it is sampled."""
    old = table if sampled_by is None else sampled_by
    new, ref, behaviour = tree.logprobs(table), tree.logprobs(reference), tree.logprobs(old).detach()
    chance = tree.probabilities(old).detach()
    if cell.placement is Placement.REWARD:
        scores = penalised_scores(torch.zeros(15).double(), new, ref, tree.mask_BT, beta=1.0, penalty=cell)
        loss = reinforce_loss(new, 15 * chance * scores, tree.mask_BT)
        return torch.autograd.grad(loss, table)[0]
    total = torch.zeros_like(table)
    for i in range(15):  # a mean over completions has no chances in it: one by one, then weighted
        rows = slice(i, i + 1)
        term = kl_loss(
            new[rows],
            ref[rows],
            tree.mask_BT[rows],
            penalty=cell,
            old_logprobs_BT=behaviour[rows] if cell.placement is Placement.WEIGHTED_LOSS else None,
        )
        total += chance[i] * torch.autograd.grad(term, table, retain_graph=True)[0]
    return total


class TestTheTable:
    """The module's table, cell by cell, against exact gradients on a tree in which early tokens matter later."""

    @pytest.mark.parametrize("cell", CELLS, ids=name)
    def test_allowed_is_exactly_what_has_the_gradient_of_the_kl(self, tree, cell: KLPenalty):
        table, reference = tree.policy(0), tree.policy(1).detach()
        found, right = gradient(tree, cell, table, reference), tree.kl_gradient(table, reference)
        error = ((found - right).norm() / right.norm()).item()
        if cell.verdict:
            assert error > 0.01
        else:
            assert error < 1e-12

    @pytest.mark.parametrize("level", Level)
    def test_k1_in_the_loss_is_no_penalty(self, tree, level: Level):
        cell = KLPenalty(estimator="k1", placement="loss", level=level, accept_wrong_optimum=True)
        assert gradient(tree, cell, tree.policy(0), tree.policy(1).detach()).abs().max() < 1e-12

    def test_k3_in_the_loss_is_the_other_kl(self, tree):
        table, reference = tree.policy(0), tree.policy(1).detach()
        cell = KLPenalty(estimator="k3", placement="loss", level="sequence", accept_wrong_optimum=True)
        q = tree.probabilities(reference)
        forward = torch.autograd.grad((q * (q / tree.probabilities(table)).log()).sum(), table)[0]
        assert_close(gradient(tree, cell, table, reference), forward, **EXACT)

    def test_per_token_the_direction_is_nearly_right_which_is_why_nobody_noticed(self, tree):
        table, reference = tree.policy(0), tree.policy(1).detach()
        cell = KLPenalty(estimator="k2", placement="loss", level="token", accept_wrong_optimum=True)
        found, right = gradient(tree, cell, table, reference), tree.kl_gradient(table, reference)
        cosine = torch.cosine_similarity(found.flatten(), right.flatten(), dim=0)
        assert 0.7 < cosine < 0.999

    @pytest.mark.parametrize("cell", [c for c in LOSSES if c.placement is Placement.WEIGHTED_LOSS], ids=name)
    def test_stale_samples(self, tree, cell: KLPenalty):
        """The weighted loss is as right, or as wrong, for samples of another policy."""
        table, reference, stale = tree.policy(0), tree.policy(1).detach(), tree.policy(2).detach()
        right = tree.kl_gradient(table, reference)
        error = (gradient(tree, cell, table, reference, stale) - right).norm() / right.norm()
        assert error > 0.01 if cell.verdict else error < 1e-12

    def test_the_unweighted_loss_is_for_fresh_samples_only(self, tree):
        table, reference, stale = tree.policy(0), tree.policy(1).detach(), tree.policy(2).detach()
        cell = KLPenalty(estimator="k2", placement="loss")
        right = tree.kl_gradient(table, reference)
        assert (gradient(tree, cell, table, reference, stale) - right).norm() > 0.1 * right.norm()


def bandit_pull(bandit: TabularBandit, policy: Tensor, cell: KLPenalty) -> Tensor:
    """Expected gradient of REINFORCE with the penalty, at that policy of a bandit: 0 where it would stay."""
    logits = policy.log().requires_grad_()
    new = logits.log_softmax(-1)[:, None]
    old, ref, mask = new.detach(), bandit.reference_K.log()[:, None], torch.ones(len(policy), 1, dtype=torch.bool)
    scores = bandit.rewards_K
    if cell.placement is Placement.REWARD:
        scores = penalised_scores(scores, new, ref, mask, beta=bandit.beta, penalty=cell)
    count = len(policy)
    loss = reinforce_loss(new, count * policy * scores, mask)
    if cell.placement is not Placement.REWARD:
        weighted = cell.placement is Placement.WEIGHTED_LOSS
        for i in range(count):
            rows = slice(i, i + 1)
            term = kl_loss(new[rows], ref[rows], mask[rows], penalty=cell,
                           old_logprobs_BT=old[rows] if weighted else None)  # fmt: skip
            loss = loss + bandit.beta * policy[i] * term
    return torch.autograd.grad(loss, logits)[0]


class TestOptima:
    def bandit(self) -> TabularBandit:
        rewards, logits = torch.randn(2, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        return TabularBandit(rewards, logits.softmax(-1), beta=0.3)

    @pytest.mark.parametrize("cell", CELLS, ids=name)
    def test_who_stays_at_the_optimum(self, cell: KLPenalty):
        """With one token a completion, both levels are one; all wrong estimators leave the optimum."""
        bandit = self.bandit()
        pull = bandit_pull(bandit, bandit.optimum(), cell).norm()
        one_token = KLPenalty(estimator=cell.estimator, placement=cell.placement, accept_wrong_optimum=True)
        if one_token.verdict:
            assert pull > 1e-2
        else:
            assert pull < 1e-12

    def test_where_k3_in_the_loss_stays_instead(self):
        """π = β π_ref / (λ - r), λ above every reward and such that π sums to 1."""
        bandit = self.bandit()
        low = bandit.rewards_K.max()
        high = low + bandit.beta
        for _ in range(200):  # the sum falls in λ: halve the interval
            middle = (low + high) / 2
            too_much = (bandit.beta * bandit.reference_K / (middle - bandit.rewards_K)).sum() > 1
            low, high = (middle, high) if too_much else (low, middle)
        policy = bandit.beta * bandit.reference_K / (high - bandit.rewards_K)
        cell = KLPenalty(estimator="k3", placement="loss", accept_wrong_optimum=True)
        assert bandit_pull(bandit, policy / policy.sum(), cell).norm() < 1e-10
        reached = bandit.objective(policy) - bandit.objective(bandit.reference_K)
        possible = bandit.best - bandit.objective(bandit.reference_K)
        assert reached / possible < 0.95

    @pytest.mark.parametrize("estimator", ["k2", "k3"])
    def test_in_the_reward_a_suppressed_arm_is_suppressed_further(self, estimator: str):
        """Even though it has the best reward and the right penalty would bring it back."""
        reference = tensor([0.5, 0.5], dtype=torch.float64)
        bandit = TabularBandit(tensor([0.5, 0.0], dtype=torch.float64), reference, beta=1.0)
        policy = tensor([1e-3, 1 - 1e-3], dtype=torch.float64)
        wrong = KLPenalty(estimator=estimator, accept_wrong_optimum=True)
        assert bandit_pull(bandit, policy, KLPenalty())[0] < 0  # descent raises its logit
        assert bandit_pull(bandit, policy, wrong)[0] > 0


class TestRefusal:
    @pytest.mark.parametrize("cell", CELLS, ids=name)
    def test_wrong_ones_are_refused_with_a_reason_and_can_be_asked_for_by_name(self, cell: KLPenalty):
        fields = {"estimator": cell.estimator, "placement": cell.placement, "level": cell.level}
        if not cell.verdict:
            assert KLPenalty(**fields).verdict == ""
            return
        with pytest.raises(ConfigError) as caught:
            KLPenalty(**fields)
        assert f"{cell.name} converges to a wrong policy: {cell.verdict}" in str(caught.value)
        assert "accept_wrong_optimum=True" in str(caught.value)
        assert len(cell.verdict) > 40

    def test_every_allowed_one(self):
        allowed = {cell.name for cell in CELLS if not cell.verdict}
        assert allowed == {
            "k1 per token in the reward",
            "k1 per sequence in the reward",
            "k2 per sequence in the loss",
            "k1 per sequence in the weighted loss",
            "k3 per sequence in the weighted loss",
        }

    def test_the_default_is_right(self):
        assert KLPenalty().name == "k1 per sequence in the reward"
        assert not KLPenalty().accept_wrong_optimum

    @pytest.mark.parametrize("field", ["estimator", "placement", "level"])
    def test_a_name_that_is_none(self, field: str):
        with pytest.raises(ConfigError, match=f"no such {field}"):
            KLPenalty(**{field: "k4"})

    def test_a_penalty_in_the_wrong_place(self, tree):
        table = tree.policy(0)
        args = (tree.logprobs(table), tree.logprobs(table), tree.mask_BT)
        with pytest.raises(ConfigError, match=r"stands elsewhere(.|\n)*in the loss or the weighted loss"):
            kl_loss(*args, penalty=KLPenalty())
        with pytest.raises(ConfigError, match=r"stands elsewhere(.|\n)*in the reward"):
            penalised_scores(tree.scores(0), *args, beta=0.1, penalty=KLPenalty(estimator="k2", placement="loss"))

    def test_old_log_probabilities_missing_or_useless(self, tree):
        args = (tree.logprobs(tree.policy(0)), tree.logprobs(tree.policy(1)), tree.mask_BT)
        with pytest.raises(ConfigError, match="expected: old_logprobs_BT"):
            kl_loss(*args, penalty=KLPenalty(placement="weighted loss"))
        with pytest.raises(ConfigError, match="expected: no old_logprobs_BT"):
            kl_loss(*args, penalty=KLPenalty(estimator="k2", placement="loss"), old_logprobs_BT=args[0])

    @pytest.mark.parametrize("beta", [-0.1, NAN, math.inf])
    def test_a_coefficient_that_cannot_work(self, tree, beta: float):
        args = (tree.logprobs(tree.policy(0)), tree.logprobs(tree.policy(1)), tree.mask_BT)
        with pytest.raises(ConfigError, match="KL coefficient"):
            penalised_scores(tree.scores(0), *args, beta=beta, penalty=KLPenalty())


def random_case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    new, ref, old = -torch.rand(3, 6, 4, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 5, (6, 1), generator=generator)
    return new, ref, old, torch.arange(4)[None] < lengths


def call(cell: KLPenalty, new: Tensor, ref: Tensor, old: Tensor, mask: Tensor, completions: int | None = None):
    weighted = cell.placement is Placement.WEIGHTED_LOSS
    return kl_loss(new, ref, mask, penalty=cell, old_logprobs_BT=old if weighted else None, completions=completions)


def test_hand_case():
    # log-ratios: log 2 and log 2, sum log 4; one token of -log 2. k1: (log 4 - log 2) / 2. k2 per sequence:
    # (½ log² 4 + ½ log² 2) / 2, per token (2 · ½ log² 2 + ½ log² 2) / 2. Old policy half as likely per token:
    # ratios 4 and 2, so weighted k1 is (4 log 4 - 2 log 2) / 2.
    log2 = math.log(2)
    new = tensor([[-1.0, -1.0], [-1.0, NAN]], dtype=torch.float64)
    ref = tensor([[-1.0 - log2, -1.0 - log2], [-1.0 + log2, NAN]], dtype=torch.float64)
    old, mask = new - log2, tensor([[True, True], [True, False]])
    expected = {
        ("k1", "loss", "token"): log2 / 2,
        ("k2", "loss", "sequence"): 5 * log2**2 / 4,
        ("k2", "loss", "token"): 3 * log2**2 / 4,
        ("k3", "loss", "sequence"): (0.25 - 1 + 2 * log2 + 2 - 1 - log2) / 2,
        ("k1", "weighted loss", "sequence"): 3 * log2,
        ("k1", "weighted loss", "token"): (2 * 2 * log2 - 2 * log2) / 2,
    }
    for (estimator, placement, level), value in expected.items():
        cell = KLPenalty(estimator=estimator, placement=placement, level=level, accept_wrong_optimum=True)
        assert_close(call(cell, new, ref, old, mask).item(), value)
    found = penalised_scores(tensor([1.0, 2.0]).double(), new, ref, mask, beta=0.5, penalty=KLPenalty())
    assert_close(found, tensor([1 - log2, 2 + log2 / 2]).double())


@pytest.mark.parametrize("level", Level)
def test_k1_in_the_score_is_the_sum_of_the_rewards_per_token(level: Level):
    new, ref, _, mask = random_case()
    scores = torch.arange(6.0).double()
    found = penalised_scores(scores, new, ref, mask, beta=0.3, penalty=KLPenalty(level=level))
    assert_close(found, token_rewards(scores, new, ref, mask, beta=0.3).sum(-1))
    assert not penalised_scores(scores, new.requires_grad_(), ref, mask, beta=0.3, penalty=KLPenalty()).requires_grad


@pytest.mark.parametrize("cell", LOSSES, ids=name)
@given(st.integers(0, 2**16), st.lists(st.integers(1, 5), max_size=3, unique=True))
@settings(max_examples=8)
def test_micro_batches_add_up(cell: KLPenalty, seed: int, cuts: list[int]):
    case = random_case(seed)
    case[3][2] = False  # no completion: it must not count in the denominator
    whole = call(cell, *case)
    sizes = tensor([0, *sorted(cuts), 6]).diff().tolist()
    parts = [call(cell, *part, completions=5) for part in zip(*(x.split(sizes) for x in case), strict=True)]
    assert_close(sum(parts), whole, **EXACT)


@pytest.mark.parametrize("cell", CELLS, ids=name)
@pytest.mark.parametrize("garbage", [NAN, math.inf, -math.inf, 1e30])
def test_padding_reaches_neither_value_nor_gradient(cell: KLPenalty, garbage: float):
    *numbers, mask = random_case()
    mask[4] = False
    dirty = [torch.where(mask, x, sign * garbage) for x, sign in zip(numbers, (1, -1, 1), strict=True)]
    if cell.placement is Placement.REWARD:
        found, expected = (
            penalised_scores(torch.zeros(6).double(), *xs[:2], mask, beta=1.0, penalty=cell) for xs in (dirty, numbers)
        )
        assert torch.equal(found, expected)
        return
    clean, learning = (xs[0].clone().requires_grad_() for xs in (numbers, dirty))
    expected, found = call(cell, clean, *numbers[1:], mask), call(cell, learning, *dirty[1:], mask)
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(x, y)[0] for x, y in ((found, learning), (expected, clean))]
    assert torch.equal(*gradients)
    wide = call(cell, *(pad(x, (1, 2), value=garbage) for x in numbers), pad(mask, (1, 2)))
    assert_close(wide, expected)


@pytest.mark.parametrize("cell", LOSSES, ids=name)
def test_gradient(cell: KLPenalty):
    new, ref, old, mask = random_case()
    learning = [x.requires_grad_() for x in (new, ref, old)]
    assert torch.autograd.gradcheck(lambda x: call(cell, x, ref.detach(), old.detach(), mask), (new,))
    gradients = torch.autograd.grad(call(cell, *learning, mask), learning, allow_unused=True)
    assert [g is None for g in gradients] == [False, True, True]


@pytest.mark.parametrize("cell", LOSSES, ids=name)
def test_nothing_counts(cell: KLPenalty):
    *numbers, mask = random_case()
    nothing = torch.zeros_like(mask)
    assert call(cell, *numbers, nothing).isnan()
    assert call(cell, *numbers, nothing, completions=3) == 0
