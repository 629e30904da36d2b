"""A rater's record, from rows whose figures are known by hand."""

import math

import numpy as np
import pytest

from palate.core.records import TASKS
from palate.preferences import raters
from palate.preferences.votes import FIRST, SECOND, SKIP, TIE, votes_from

CHECK, REPEAT, ONBOARDING = (TASKS.index(name) for name in ("check", "repeat", "onboarding"))


def test_left_is_where_the_rater_saw_it():
    # Swapped, the second stood on the left: choosing second is choosing left.
    votes = votes_from(range(4), [0] * 4, [FIRST, SECOND, FIRST, TIE], swapped=[False, True, True, True])
    (found,) = raters.left_by_rater(votes)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert raters.biases(votes).left.value == pytest.approx(2 / 3)


def test_a_left_bias_is_seen_and_sides_alone_make_none():
    rng = np.random.default_rng(0)
    swapped = rng.random(4000) < 0.5
    left = rng.random(4000) < 0.56
    votes = votes_from(range(4000), np.arange(4000) % 5, np.where(left != swapped, FIRST, SECOND), swapped=swapped)
    found = raters.biases(votes)
    # 56 % of 4,000: a standard error of .8 points, so 50 % is 7 of them away.
    assert found.left.low > 0.5
    assert "position matters" in raters.biases_sentence(found)
    even = votes_from(range(4000), np.arange(4000) % 5, np.where(left, FIRST, SECOND), swapped=swapped)
    assert raters.biases(even).left.low < 0.5 < raters.biases(even).left.high


def test_length_counts_where_it_is_known_and_differs():
    length = np.array([[10, 20], [20, 10], [10, 10], [-1, 5]])
    votes = votes_from(range(4), [0] * 4, [SECOND, SECOND, FIRST, FIRST], length=length)
    found = raters.biases(votes).longer
    assert (found.value, found.n) == (0.5, 2)


def test_a_repeat_is_held_against_what_was_said_before():
    votes = votes_from(
        [0, 1, 2, 0, 1, 2, 3],
        [0] * 7,
        [FIRST, SECOND, FIRST, FIRST, FIRST, SKIP, FIRST],
        task=[0, 0, 0, REPEAT, REPEAT, REPEAT, REPEAT],
    )
    (found,) = raters.repeated_by_rater(votes)
    # One of two: a skip is no verdict, and a repeat without an earlier verdict repeats nothing.
    assert (found.value, found.n) == (0.5, 2)
    again = votes_from([0, 0], [0, 0], [FIRST, SECOND])
    assert raters.repeated_by_rater(again)[0].n == 0, "changing one's mind is no repeat"


def test_check_items_count_the_first_answer_and_no_lesson():
    votes = votes_from(
        [0, 0, 1, 2],
        [0] * 4,
        [SECOND, FIRST, SECOND, SECOND],
        task=[CHECK, REPEAT, CHECK, ONBOARDING],
    )
    (found,) = raters.check_accuracy(votes, np.array([FIRST, SECOND, SECOND]))
    assert (found.value, found.n) == (0.5, 2)
    later = votes_from([0], [0], [FIRST], task=[REPEAT])
    assert raters.check_accuracy(later, np.array([FIRST]))[0].n == 0, "a repeat is no first answer"


def test_medians_by_hand_and_haste():
    votes = votes_from(
        range(5), [0, 0, 0, 1, 1], [FIRST] * 5, seconds=[1.0, 9.0, 2.0, 4.0, 6.0], length=np.full((5, 2), 500)
    )
    median, ratio, timed = raters.speed(votes)
    assert (median.tolist(), timed.tolist()) == ([2.0, 5.0], [3, 2])
    # 1,000 characters at 25 a second are 40 seconds.
    assert ratio.tolist() == pytest.approx([2 / 40, 5 / 40])
    assert "less than 7 seconds" in raters.haste(7.0, 1.0, 10)
    assert "of the time that reading takes" in raters.haste(9.0, 0.2, 10)
    assert raters.haste(9.0, 0.25, 10) == ""
    assert raters.haste(1.0, 0.1, 9) == "", "nine judgements tell too little"
    assert raters.haste(math.nan, math.nan, 0) == ""


def careless_pool():
    rng = np.random.default_rng(1)
    comparisons, skill = 600, np.array([0.5, *[0.9] * 5])
    truth = rng.integers(0, 2, comparisons)
    item, rater = np.repeat(np.arange(comparisons), 3), rng.permuted(np.tile(np.arange(6), (comparisons, 1)), axis=1)
    rater = rater[:, :3].ravel()
    said = np.where(rng.random(len(item)) < skill[rater], truth[item], 1 - truth[item])
    known = np.where(np.arange(comparisons) % 5 == 0, truth, -1)
    return votes_from(item, rater, said, task=np.where(known[item] >= 0, CHECK, 0)), known


def test_suspect_needs_check_items_and_overlap():
    votes, known = careless_pool()
    found = raters.qualities(votes, known)
    assert [quality.suspect for quality in found] == [True] + [False] * 5
    assert found[0].checks.high < raters.PASS
    assert not any(quality.suspect for quality in raters.qualities(votes))
    # 300 verdicts know a share to 2.9 % (.5) and 1.7 % (.9): four times that, and the prior's pull.
    assert abs(found[0].skill - 0.5) < 0.13
    assert all(abs(quality.skill - 0.9) < 0.08 for quality in found[1:])


def test_a_record_says_no_more_than_is_known():
    votes = votes_from([0], [0], [FIRST])
    (found,) = raters.qualities(votes)
    assert raters.sentence(found) == "You have judged 1 times."
    assert found.agreement.n == 0
    assert math.isnan(found.median_s)
