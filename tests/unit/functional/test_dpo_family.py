"""IPO, hinge, anchored DPO, cDPO and robust DPO: by hand, and their exact optima on a bandit."""

import math

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.functional.dpo import anchored_dpo_loss, dpo_loss, hinge_loss, ipo_loss
from palate.functional.labels import denoised_labels, smoothed_labels
from palate.world.exact import TabularBandit

LOG3 = math.log(3)
# chosen moved by +1 and rejected by -1, so h = 2; then the other way round, h = -2
ROWS = tensor([-4.0, -6.0]), tensor([-8.0, -2.0]), tensor([-5.0, -5.0]), tensor([-7.0, -3.0])


class TestByHand:
    def test_ipo(self):
        # β = ½, target 1: (2 - 1)² = 1 and (-2 - 1)² = 9; margins β h = ±1
        found = ipo_loss(*ROWS, beta=0.5)
        assert_close(found.loss, tensor(5.0))
        assert_close(found.margins_N, tensor([1.0, -1.0]))
        assert found.accuracy == 0.5
        # with p = ¾: ¾·1 + ¼·9 = 3 and ¾·9 + ¼·1 = 7
        assert_close(ipo_loss(*ROWS, beta=0.5, p_chosen_N=tensor([0.75, 0.75])).loss, tensor(5.0))
        assert_close(ipo_loss(*ROWS, beta=0.5, p_chosen_N=tensor([0.75, 1.0])).loss, tensor(6.0))

    def test_hinge(self):
        # β = ¼: margins ±½, so 1 - ½ and 1 + ½; with β = 1: 0 and 3
        assert_close(hinge_loss(*ROWS, beta=0.25).loss, tensor(1.0))
        assert_close(hinge_loss(*ROWS, beta=1.0).loss, tensor(1.5))
        # a tie costs max(0, 1 - m) / 2 + max(0, 1 + m) / 2: 1 inside the band, 3/2 at |m| = 2
        assert_close(hinge_loss(*ROWS, beta=1.0, p_chosen_N=tensor([0.5, 0.5])).loss, tensor(1.5))

    def test_anchored(self):
        # nats per token of the chosen: 4 / 2 and 6 / 3, mean 2; DPO at β = ½ log 3 is log 4 - ½ log 3
        plain = math.log(4) - LOG3 / 2
        lengths = tensor([2, 3]), tensor([5, 7])
        assert_close(anchored_dpo_loss(*ROWS, *lengths, beta=LOG3 / 2, anchor=0.5).loss, tensor(plain + 1.0))
        assert_close(anchored_dpo_loss(*ROWS, *lengths, beta=LOG3 / 2, anchor=0.0).loss, tensor(plain))

    def test_the_anchor_holds_the_chosen_side_up(self):
        """Both sides sink alike: DPO sees nothing, the anchor does."""
        chosen = ROWS[0].clone().requires_grad_()
        rejected = ROWS[1].clone().requires_grad_()
        lengths = tensor([2, 3]), tensor([5, 7])
        for anchor, expected in ((0.0, 0.0), (1.0, -(1 / 2 + 1 / 3) / 2)):
            loss = anchored_dpo_loss(chosen, rejected, *ROWS[2:], *lengths, beta=0.1, anchor=anchor).loss
            slopes = torch.autograd.grad(loss, (chosen, rejected))
            assert_close((slopes[0] + slopes[1]).sum().item(), expected)

    @pytest.mark.parametrize("anchor", [-1.0, math.nan, math.inf])
    def test_an_anchor_that_cannot_work(self, anchor: float):
        with pytest.raises(ConfigError, match="anchor"):
            anchored_dpo_loss(*ROWS, tensor([2, 3]), tensor([5, 7]), beta=0.1, anchor=anchor)


ARMS, BETA, FLIPS = 6, 0.4, 0.25
FIRST, SECOND = torch.triu_indices(ARMS, ARMS, offset=1)


def world(seed: int = 0) -> tuple[TabularBandit, Tensor]:
    """A bandit, and how often raters who follow Bradley-Terry prefer the first of every pair."""
    rewards, logits = torch.randn(2, ARMS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    bandit = TabularBandit(rewards, logits.softmax(-1), BETA)
    return bandit, (rewards[FIRST] - rewards[SECOND]).sigmoid()


def pull(loss, policy: Tensor, reference: Tensor, labels: Tensor, **settings: float) -> float:
    """Norm of the gradient in the logits of the policy: 0 at an optimum, and nowhere else (convex losses)."""
    logits = policy.log().requires_grad_()
    logprobs, ref = logits.log_softmax(-1), reference.log()
    found = loss(logprobs[FIRST], logprobs[SECOND], ref[FIRST], ref[SECOND], beta=BETA, p_chosen_N=labels, **settings)
    return torch.autograd.grad(found.loss, logits)[0].norm().item()


class TestPopulation:
    def test_dpo_reaches_the_optimum_of_reinforcement_learning(self):
        bandit, p = world()
        assert pull(dpo_loss, bandit.optimum(), bandit.reference_K, p) < 1e-12
        assert pull(dpo_loss, bandit.reference_K, bandit.reference_K, p) > 1e-2

    def test_flips_move_dpo_and_robust_dpo_undoes_them(self):
        bandit, p = world()
        noisy = (1 - FLIPS) * p + FLIPS * (1 - p)
        best = bandit.optimum()
        assert pull(dpo_loss, best, bandit.reference_K, noisy) > 1e-2
        assert pull(dpo_loss, best, bandit.reference_K, denoised_labels(noisy, flip_rate=FLIPS)) < 1e-12
        # smoothing noisy labels goes the wrong way
        smooth = pull(dpo_loss, best, bandit.reference_K, smoothed_labels(noisy, flip_rate=FLIPS))
        assert smooth > pull(dpo_loss, best, bandit.reference_K, noisy)

    def test_ipo_tilts_by_the_probability_to_win(self):
        bandit, p = world()
        wins = torch.zeros(ARMS, dtype=torch.float64)
        wins.index_add_(0, FIRST, p).index_add_(0, SECOND, 1 - p)
        # against one of all arms, itself included, where it wins half
        wins = (wins + 0.5) / ARMS
        best = (bandit.reference_K.log() + wins / BETA).softmax(-1)
        assert pull(ipo_loss, best, bandit.reference_K, p) < 1e-12
        assert pull(ipo_loss, bandit.optimum(), bandit.reference_K, p) > 1e-2
        # the mean log-ratio of averaged log-probs, or a target of 1/β, would stop elsewhere
        half = (bandit.reference_K.log() + 2 * wins / BETA).softmax(-1)
        assert pull(ipo_loss, half, bandit.reference_K, p) > 1e-2

    @pytest.mark.parametrize(
        ("loss", "label", "best_h"),
        [
            (ipo_loss, 1.0, 1 / (2 * BETA)),
            (ipo_loss, 0.7, 0.4 / (2 * BETA)),
            (dpo_loss, 0.7, math.log(7 / 3) / BETA),
            (dpo_loss, "cdpo", math.log(9) / BETA),  # logit of 1 - ε at ε = 0.1
            (hinge_loss, 0.7, 1 / BETA),
        ],
    )
    def test_the_best_log_ratio_of_one_pair(self, loss, label, best_h: float):
        """The table in `dpo.py`: the slope changes its sign there."""
        certain = torch.ones(1, dtype=torch.float64)
        p = smoothed_labels(certain, flip_rate=0.1) if label == "cdpo" else certain * label
        slopes = []
        for h in (best_h - 1e-4, best_h + 1e-4):
            chosen = tensor([h], dtype=torch.float64, requires_grad=True)
            zero = torch.zeros_like(certain)
            value = loss(chosen, zero, zero, zero, beta=BETA, p_chosen_N=p).loss
            slopes.append(torch.autograd.grad(value, chosen)[0].item())
        assert slopes[0] < 0 < slopes[1]

    def test_where_raters_always_agree_dpo_never_stops(self):
        for h in (1.0, 10.0, 40.0):
            chosen = tensor([h], dtype=torch.float64, requires_grad=True)
            zero = torch.zeros(1, dtype=torch.float64)
            (slope,) = torch.autograd.grad(dpo_loss(chosen, zero, zero, zero, beta=BETA).loss, chosen)
            assert slope < 0
