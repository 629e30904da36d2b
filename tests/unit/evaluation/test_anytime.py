"""Confidence sequences that may be looked at after every person: exact where all cases can be listed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import ConfigError
from palate.evaluation import anytime
from palate.evaluation.anytime import Design

PEOPLE = 5


def every_case(design, control, treatment):
    """All paths of `PEOPLE` yes-or-no outcomes, with how likely each is; means may differ from person to person."""
    cases = np.array(list(itertools.product((0, 1), repeat=2 * PEOPLE)))
    z, y = cases[:, :PEOPLE], cases[:, PEOPLE:]
    mean = np.where(z, treatment, control)
    chance = np.where(z, design.share, 1 - design.share) * np.where(y, mean, 1 - mean)
    return y, z, chance.prod(axis=1)


def test_two_people_by_hand():
    """With nobody before, m is the baseline .5, so a yes under the treatment says (1 - .5) · .5 / .25 = 1.

    Bets are d / σ² = .1 / 1 at first; the second person's m: ten imagined people and a yes make 6 / 11 under the
    treatment, so m = (6 / 11 + .5) / 2, and a no under the control says (0 - m) (0 - .5) / .25 = 2 m. The variance is
    then that of 200 imagined people, and of one more who is their own mean: the bet is .1 · 201 / 200.
    """
    design = Design(difference=0.1)
    said = anytime.told(np.array([1.0, 0.0]), np.array([True, False]), design)
    m = (6 / 11 + 0.5) / 2
    np.testing.assert_allclose(said.x_N, [1.0, 2 * m], rtol=1e-12)
    np.testing.assert_allclose(said.below_N, [1.0, 2 * m], rtol=1e-12)
    made = anytime.capital(said, design)
    np.testing.assert_allclose(np.exp(made.up_N), [1.1, 1.1 * (1 + 0.1005 * 2 * m)], rtol=1e-12)
    np.testing.assert_allclose(np.exp(made.down_N), [0.9, 0.9 * (1 - 0.1005 * 2 * m)], rtol=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("drift", [0.0, 0.15])
def test_a_bet_against_the_truth_is_fair_whatever_the_plan_and_the_drift(share, drift):
    """E[K] = 1 after every person, exactly, also where the mean drifts and the plan is wrong about all of it."""
    design = Design(difference=0.3, baseline=0.6, spread=0.3, share=share)
    control = 0.2 + drift * np.arange(PEOPLE)
    for effect in (0.0, 0.15):
        y, z, chance = every_case(design, control, control + effect)
        said = anytime.told(y, z, design)
        np.testing.assert_allclose(chance @ said.x_N, effect, atol=1e-12)
        made = anytime.capital(said, design, effect)
        for logs in made:
            np.testing.assert_allclose(chance @ np.exp(logs), 1.0, atol=1e-12)
            # Ville: the chance of ever reaching c is at most 1 / c.
            for goal in (1.2, 1.5, 2.0):
                assert chance @ (np.exp(logs).max(axis=1) >= goal) <= 1 / goal + 1e-12
        wrong = anytime.capital(said, design, effect + 0.1)
        assert chance @ np.exp(wrong.down_N[:, -1]) > 1.0, "betting down pays where the truth is lower"


def test_pairs_are_a_fair_game_too():
    design = Design(difference=0.1, spread=0.4, paired=True)
    cases = np.array(list(itertools.product((0, 0.5, 1), repeat=PEOPLE)))
    chance = np.where(cases == 0.5, 0.2, np.where(cases == 1, 0.5, 0.3)).prod(axis=1)
    said = anytime.told(cases, np.ones_like(cases), design)
    made = anytime.capital(said, design, 0.1)  # a win rate of .5 + .2 / 2 = .6
    np.testing.assert_allclose(chance @ np.exp(made.up_N), 1.0, atol=1e-12)
    np.testing.assert_allclose(chance @ np.exp(made.down_N), 1.0, atol=1e-12)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.5, 0.8]), st.sampled_from([0.02, 0.1, 0.4]))
def test_what_is_said_stays_in_its_bounds_and_no_bet_loses_everything(seed, share, difference):
    rng = np.random.default_rng(seed)
    design = Design(difference=difference, spread=0.05, share=share)
    y, z = rng.choice([0.0, 0.3, 1.0], 60), rng.random(60) < share
    said = anytime.told(y, z, design)
    assert (said.x_N >= -said.below_N - 1e-12).all()
    assert (said.x_N <= said.above_N + 1e-12).all()
    for at in (-0.9, 0.0, 0.9):
        assert all(np.isfinite(logs).all() for logs in anytime.capital(said, design, at))
    found = anytime.interval(said, design)
    assert (np.diff(found.low_N) >= 0).all()
    assert (np.diff(found.high_N) <= 0).all()
    outside = (found.low_N >= 0) | (found.high_N <= 0)
    assert (outside == anytime.refused(anytime.capital(said, design), design)).all()


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_the_arms_can_change_places(seed):
    rng = np.random.default_rng(seed)
    y, z = rng.random(40), rng.random(40) < 0.3
    one = anytime.told(y, z, Design(difference=0.1, spread=0.3, share=0.3))
    other = anytime.told(y, ~z, Design(difference=0.1, spread=0.3, share=0.7))
    np.testing.assert_allclose(one.x_N, -other.x_N, atol=1e-12)
    np.testing.assert_allclose(one.below_N, other.above_N, atol=1e-12)


@pytest.mark.parametrize(
    "design",
    [
        Design(difference=0.15),
        Design(difference=0.05, baseline=0.9, spread=0.2, share=0.3),
        Design(difference=0.12, spread=0.4, paired=True),
    ],
    ids=["yes and no", "rare and unequal", "pairs"],
)
def test_looking_after_every_person_is_allowed_and_the_power_is_as_planned(design):
    """1,000 tests each: four standard errors are .028 around .05 and .051 around .8, so a false alarm is 1 in 10,000.

    Two more points are allowed for the error of the computed size, of which the power is known to .009.
    """
    rng = np.random.default_rng(1)
    size = anytime.size(design)
    shape = (1000, size.people)
    treated = rng.random(shape) < design.share
    for truth, low, high in ((0.0, 0.0, 0.078), (design.difference, design.power - 0.071, design.power + 0.071)):
        mean = design.baseline + truth * (treated | design.paired)
        said = anytime.told(anytime.outcomes(rng, mean, design.spread), treated, design)
        found = anytime.refused(anytime.capital(said, design), design)[:, -1].mean()
        assert low <= found <= high
        missed = anytime.refused(anytime.capital(said, design, truth), design)[:, -1].mean()
        assert missed <= 0.078
    # Where the share is small and the baseline far from ½, one person could lose a bet much, so bets are smaller.
    assert size.median < (1 if design.share == 0.5 else 1.2) * size.fixed
    assert size.fixed < size.people < 2 * size.fixed


def test_a_plain_interval_that_is_looked_at_as_often_does_not_hold():
    """What all this is for."""
    rng = np.random.default_rng(2)
    y, z = (rng.random((500, 800)) < 0.5).astype(float), rng.random((500, 800)) < 0.5
    said = anytime.told(y, z, Design(difference=0.1))
    n = np.arange(1, 801)
    score = np.abs(np.cumsum(said.x_N, axis=1)) / np.sqrt(n)
    assert (score[:, 20:] > 1.96).any(axis=1).mean() > 0.2


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_a_right_split_gives_no_evidence_and_a_wrong_one_does(share):
    cases = np.array(list(itertools.product((0, 1), repeat=10)))
    chance = np.where(cases, share, 1 - share).prod(axis=1)
    best = np.exp(anytime.mismatch(cases, share)[:, -1])
    for goal in (1.05, 1.2, 1.5, 2.0):
        assert chance @ (best >= goal) <= 1 / goal
    first = math.log((anytime.NEAR * share + 0) / anytime.NEAR / share)
    assert first == pytest.approx(0.0), "the first one comes as planned, so it says nothing"
    rng = np.random.default_rng(0)
    alarm = math.log(1 / anytime.FALSE_ALARM)
    assert anytime.mismatch(rng.random(3000) < share, share)[-1] < alarm
    assert anytime.mismatch(rng.random(3000) < share + 0.07, share)[-1] > alarm


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"difference": 0.0}, "difference"),
        ({"difference": 0.6}, "difference"),
        ({"difference": 0.1, "baseline": 1.0}, "baseline"),
        ({"difference": 0.05, "baseline": 0.9, "spread": 0.4}, "spread"),
        ({"difference": 0.1, "share": 0.0}, "share"),
        ({"difference": 0.1, "level": 0.0}, "level"),
        ({"difference": 0.1, "power": 1.0}, "power"),
        ({"difference": 0.1, "baseline": 0.4, "spread": 0.2, "paired": True}, "baseline"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Design(**wrong)
    empty = np.zeros(0)
    found = anytime.interval(anytime.told(empty, empty, Design(difference=0.1)), Design(difference=0.1))
    assert len(found.low_N) == 0
