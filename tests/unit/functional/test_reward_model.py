"""Margins, flips and centring: losses of a reward model beyond plain Bradley-Terry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.functional.labels import denoised_labels
from palate.functional.pairwise import bradley_terry_loss
from palate.functional.reward_model import centring_loss, flip_aware_loss, margin_loss

LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)


def one(x: float) -> torch.Tensor:
    return tensor([x], dtype=torch.float64)


class TestMarginLoss:
    @pytest.mark.parametrize(
        ("margin", "p", "required", "expected"),
        [
            (LOG3, 1.0, LOG3, LOG2),  # just the lead that was asked for
            (0.0, 1.0, LOG3, LOG4),  # -log σ(-log 3)
            (0.0, 0.5, LOG3, LOG4),  # a tie, at a margin of 0: both sides lack the lead
            (2 * LOG3, 1.0, LOG3, LOG4 - LOG3),
            (1000.0, 1.0, 500.0, 0.0),
            (0.0, 1.0, 1000.0, 1000.0),  # no overflow
        ],
    )
    def test_hand_case(self, margin, p, required, expected):
        assert_close(margin_loss(one(margin), one(p), one(required)).item(), expected)
        assert_close(margin_loss(one(margin), one(p), required).item(), expected)

    @given(st.floats(-20, 20), st.floats(0, 1), st.floats(0, 5))
    @settings(max_examples=40)
    def test_a_required_lead_never_lowers_the_loss(self, margin, p, required):
        plain = bradley_terry_loss(one(margin), one(p))
        assert_close(margin_loss(one(margin), one(p), 0.0), plain)
        assert margin_loss(one(margin), one(p), required) >= plain - 1e-12
        assert_close(margin_loss(one(-margin), one(1 - p), required), margin_loss(one(margin), one(p), required))

    def test_nothing_learns_the_required_lead(self):
        required = one(0.3).requires_grad_()
        loss = margin_loss(one(0.1).requires_grad_(), one(1.0), required)
        assert torch.autograd.grad(loss, required, allow_unused=True)[0] is None

    @pytest.mark.parametrize("required", [-0.1, math.nan])
    def test_a_lead_below_zero(self, required):
        with pytest.raises(ConfigError, match="required margin is below 0"):
            margin_loss(one(0.0), one(1.0), required)


class TestFlipAwareLoss:
    @pytest.mark.parametrize(
        ("margin", "p", "rate", "expected"),
        [
            (0.0, 1.0, 0.2, LOG2),  # undecided stays undecided
            (LOG3, 1.0, 0.25, -math.log(0.75 * 0.75 + 0.25 * 0.25)),  # q = 10/16
            (LOG3, 0.0, 0.25, -math.log(6 / 16)),
            (-1000.0, 1.0, 0.1, -math.log(0.1)),  # a contradiction costs what a flip costs, and no more
            (1000.0, 1.0, 0.1, -math.log(0.9)),
        ],
    )
    def test_hand_case(self, margin, p, rate, expected):
        assert_close(flip_aware_loss(one(margin), one(p), flip_rate=rate).item(), expected)

    @given(st.floats(-20, 20), st.floats(0, 1))
    @settings(max_examples=40)
    def test_without_flips_it_is_bradley_terry(self, margin, p):
        assert_close(flip_aware_loss(one(margin), one(p), flip_rate=0.0), bradley_terry_loss(one(margin), one(p)))
        both = [flip_aware_loss(one(s * margin), one(q), flip_rate=0.2) for s, q in ((1, p), (-1, 1 - p))]
        assert_close(*both)
        assert both[0] >= 0

    @pytest.mark.parametrize("truth", [0.55, 0.7, 0.9, 0.99])
    @pytest.mark.parametrize("rate", [0.1, 0.35])
    def test_both_corrections_recover_the_clean_margin_and_plain_does_not(self, truth, rate):
        """Mean slope over noisy labels is 0 at the margin that the raters would have shown without flips."""
        noisy = one((1 - rate) * truth + rate * (1 - truth))
        margin = one(truth).logit().requires_grad_()
        slopes = [
            torch.autograd.grad(loss, margin)[0].abs().item()
            for loss in (
                flip_aware_loss(margin, noisy, flip_rate=rate),
                bradley_terry_loss(margin, denoised_labels(noisy, flip_rate=rate)),
                bradley_terry_loss(margin, noisy),
            )
        ]
        assert slopes[0] < 1e-12
        assert slopes[1] < 1e-12
        assert slopes[2] > 1e-3

    def test_a_hopeless_row_is_let_go(self):
        margin = one(-40.0).requires_grad_()
        (slope,) = torch.autograd.grad(flip_aware_loss(margin, one(1.0), flip_rate=0.1), margin)
        (plain,) = torch.autograd.grad(bradley_terry_loss(margin, one(1.0)), margin)
        assert abs(slope) < 1e-12
        assert_close(plain, one(-1.0))

    @pytest.mark.parametrize("rate", [0.5, -0.1, math.nan])
    def test_a_flip_rate_that_says_nothing(self, rate):
        with pytest.raises(ConfigError, match="flip rate"):
            flip_aware_loss(one(0.0), one(1.0), flip_rate=rate)


class TestCentringLoss:
    def test_hand_case(self):
        # (1 + 2)² = 9 and (3 - 3)² = 0
        assert_close(centring_loss(tensor([1.0, 3.0]), tensor([2.0, -3.0])), tensor(4.5))
        assert_close(centring_loss(tensor([1.0, 3.0]), tensor([2.0, -3.0]), tensor([1.0, 3.0])), tensor(9 / 4))

    @given(st.floats(-5, 5), st.floats(-5, 5))
    @settings(max_examples=20)
    def test_it_moves_the_level_and_no_difference(self, first, second):
        scores = one(first).requires_grad_(), one(second).requires_grad_()
        slopes = torch.autograd.grad(centring_loss(*scores), scores)
        assert_close(*slopes)
        assert_close(slopes[0], one(2 * (first + second)))
