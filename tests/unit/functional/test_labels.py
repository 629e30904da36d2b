"""Soft labels from grades, and labels of raters who err."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.labels import denoised_labels, smoothed_labels, strength_labels

NAN = math.nan
labels = st.lists(st.floats(0, 1), min_size=1, max_size=5).map(lambda xs: tensor(xs, dtype=torch.float64))
rates = st.floats(0, 0.45)


def test_hand_cases():
    # three to one per grade: 1/(1 + 9), ¼, ½, ¾, 9/(1 + 9)
    assert_close(
        strength_labels(tensor([-2.0, -1.0, 0.0, 1.0, 2.0]), nats_per_grade=math.log(3)),
        tensor([0.1, 0.25, 0.5, 0.75, 0.9]),
    )
    assert_close(smoothed_labels(tensor([0.0, 0.5, 1.0]), flip_rate=0.1), tensor([0.1, 0.5, 0.9]))
    # (p - ¼) / ½
    assert_close(denoised_labels(tensor([0.0, 0.25, 0.5, 1.0]), flip_rate=0.25), tensor([-0.5, 0.0, 0.5, 1.5]))


@given(labels, rates)
@settings(max_examples=40)
def test_smoothing_and_denoising_are_inverse(p, rate):
    assert_close(denoised_labels(smoothed_labels(p, flip_rate=rate), flip_rate=rate), p, atol=1e-12, rtol=1e-9)
    assert torch.equal(smoothed_labels(p, flip_rate=0.0), p)
    assert torch.equal(denoised_labels(p, flip_rate=0.0), p)
    for function in (smoothed_labels, denoised_labels):
        found = function(p, flip_rate=rate)
        assert_close(function(1 - p, flip_rate=rate), 1 - found)
        assert (((found - 0.5) * (p - 0.5)) >= 0).all()  # no side changes


@given(labels)
@settings(max_examples=20)
def test_grades_are_antisymmetric_and_grow(grades):
    up, down = (strength_labels(sign * grades, nats_per_grade=0.7) for sign in (1, -1))
    assert_close(up + down, torch.ones_like(up))
    assert (strength_labels(grades + 0.5, nats_per_grade=0.7) > up).all()


@pytest.mark.parametrize("function", [smoothed_labels, denoised_labels])
class TestWrongUse:
    @pytest.mark.parametrize("rate", [0.5, 0.9, -0.1, NAN])
    def test_a_flip_rate_that_says_nothing(self, function, rate):
        with pytest.raises(ConfigError, match="flip rate"):
            function(tensor([1.0]), flip_rate=rate)

    @pytest.mark.parametrize("label", [-0.1, 1.5, NAN])
    def test_a_label_that_is_no_probability(self, function, label):
        with pytest.raises(DataError, match=r"not a probability\n  where: row 1"):
            function(tensor([1.0, label]), flip_rate=0.1)


@pytest.mark.parametrize("nats", [0.0, -1.0, NAN, math.inf])
def test_a_grade_without_evidence(nats):
    with pytest.raises(ConfigError, match="`nats_per_grade`"):
        strength_labels(tensor([1.0]), nats_per_grade=nats)
