"""Intervals have a width, hold their figure, and are those of the books."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import ConfigError
from palate.core.records import Judgement, Verdict
from palate.preferences.agreement import agreement, agreement_by_rater, krippendorff_alpha
from palate.preferences.resampling import interval, ratio, wilson

Z2 = 1.959964**2


def raters(units):
    return [
        Judgement(uid=f"{c}/{r}", comparison=f"c{c}", rater=f"r{r}", verdict=Verdict(verdict))
        for c, unit in enumerate(units)
        for r, verdict in enumerate(unit)
    ]


def test_wilson_by_hand():
    # All of n: n / (n + z^2) to 1. For 9 of 10, the textbook's [.5958, .9821].
    assert wilson(1.0, 40) == (pytest.approx(40 / (40 + Z2)), 1.0)
    assert wilson(0.0, 3) == (0.0, pytest.approx(Z2 / (3 + Z2)))
    assert wilson(0.9, 10) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))


@pytest.mark.parametrize("n", [1, 3, 40])
def test_perfect_agreement_is_not_certainty(n):
    found = agreement(raters([["first", "first", "first"]] * n))
    # Three pairs a comparison, and still n trials: verdicts on one comparison hang together.
    assert (found.value, found.n, found.units) == (1.0, 3 * n, n)
    assert (found.low, found.high) == (pytest.approx(n / (n + Z2)), 1.0)
    by_rater = agreement_by_rater(raters([["first", "first"]] * n))
    assert by_rater["r0"].low == pytest.approx(n / (n + Z2))


def test_one_disagreement_narrows_nothing():
    # A bootstrap takes over from Wilson when not all agree; its interval must not jump to a point.
    found = agreement(raters([["first", "first"]] * 39 + [["first", "second"]]))
    assert found.low < 39 / 40 < found.high
    assert found.low == pytest.approx(0.925, abs=0.01)


def test_alpha_of_perfect_agreement_by_hand():
    # 4 comparisons, 5 verdicts for first and 3 for second would be 30/56; here 4 and 4: (64 - 32) / (7 * 8) = 4/7.
    found = krippendorff_alpha(raters([["first", "first"], ["second", "second"]] * 2))
    most = Z2 / (4 + Z2)
    assert (found.value, found.n, found.units) == (1.0, 8, 4)
    assert (found.low, found.high) == (pytest.approx(1 - most / (4 / 7)), 1.0)


def test_alpha_ends_at_minus_one():
    # Two units fffs. D_o: (16 - 10) / 3 / 4 = 1/2, D_e: (64 - 36 - 4) / 7 / 8 = 3/7. Wilson's end for 1 of 2 is .905.
    found = krippendorff_alpha(raters([["first", "first", "first", "second"]] * 2))
    assert found.value == pytest.approx(1 - 7 / 6)
    assert found.low == -1.0


def test_alpha_says_nothing_where_nothing_differs():
    found = krippendorff_alpha(raters([["first", "first"]] * 5))
    assert math.isnan(found.value)
    assert (found.n, found.units) == (10, 5)
    assert krippendorff_alpha(raters([["first"]])).n == 0
    assert krippendorff_alpha([]).n == 0


def test_alpha_with_missing_verdicts_and_ties_by_hand():
    # Units fft, ss, (f alone is left out). Counts f 2, t 1, s 2, n 5. D_o: (9 - 4 - 1) / 2 = 2 of 5.
    # D_e: (25 - 4 - 1 - 4) / 4 = 4 of 5. alpha = 1 - 2/4.
    found = krippendorff_alpha(raters([["first", "first", "tie"], ["second", "second"], ["first"]]))
    assert (found.value, found.n, found.units) == (pytest.approx(0.5), 5, 2)


UNITS = st.lists(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=4), max_size=12)


@settings(max_examples=60)
@given(UNITS, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(-5, 2**80))
def test_an_interval_is_never_a_point_and_never_leaves_its_scale(units, tie_credit, seed):
    given_ = raters(units)
    found = agreement(given_, tie_credit=tie_credit, seed=seed, resamples=200)
    by_rater = agreement_by_rater(given_, tie_credit=tie_credit, seed=seed).values()
    alpha = krippendorff_alpha(given_, seed=seed, resamples=200)
    for figure, least in [(found, 0.0), (alpha, -1.0), *((one, 0.0) for one in by_rater)]:
        if math.isnan(figure.value):
            assert math.isnan(figure.low)
            assert math.isnan(figure.high)
        else:
            assert least <= figure.low < figure.high <= 1.0
            assert figure.units >= 1


def test_the_bootstrap_covers_what_it_should():
    # 60 comparisons, 3 pairs each, all agreeing or not together: 95 % nominal. Of 300 intervals, 92 % to 98 % hold the
    # truth; fewer than 0.88 would come by chance once in 10^6. Pairs taken for independent would give about 0.72.
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        same = 3.0 * (rng.random(60) < 0.7)
        found = ratio(same.tolist(), [3.0] * 60, seed=trial, resamples=300)
        held += found.low <= 0.7 <= found.high
    assert 0.88 <= held / 300 <= 0.99


def test_a_unit_of_nothing_is_no_trial():
    assert ratio([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]).low == pytest.approx(1 / (1 + Z2))
    assert ratio([], []).n == 0
    assert math.isnan(ratio([0.0], [0.0]).value)


def test_an_interval_of_nothing_finite_is_not_known():
    low, high = interval(lambda weights: np.full(len(weights), np.nan), 3, seed=0)
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("credit", [-0.1, 1.1, float("nan")])
def test_a_credit_off_the_scale_is_refused(credit):
    with pytest.raises(ConfigError, match="tie_credit"):
        agreement([], tie_credit=credit)
