"""The learning curve finds the curve that made its points; filtering is measured where the answer is known."""

import numpy as np
import pytest

from palate.core.errors import DataError
from palate.core.records import Preference, Prompt
from palate.preferences.filtering import fit_logistic, measure_filter, sentence
from palate.preferences.learning_curve import Point, fit_curve
from palate.preferences.learning_curve import sentence as curve_sentence


def points(floor=0.2, scale=1.5, power=0.5, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Point(n, floor + scale * n**-power + noise * rng.standard_normal(), max(noise, 1e-4))
        for n in (50, 100, 200, 400, 800, 1600)
    ]


def test_a_curve_without_noise_is_found():
    found = fit_curve(points())
    assert (found.floor, found.scale, found.power) == pytest.approx((0.2, 1.5, 0.5), abs=1e-6)
    assert found.gain(1600).value == pytest.approx(1.5 * (1600**-0.5 - 3200**-0.5), abs=1e-6)
    assert found.needed(0.21) == pytest.approx((1.5 / 0.01) ** 2, rel=1e-3)
    assert found.needed(0.2) == float("inf")


def test_the_interval_of_the_gain_holds_the_truth():
    truth = 1.5 * (1600**-0.5 - 3200**-0.5)
    held = sum(
        found.low <= truth <= found.high
        for found in (fit_curve(points(noise=0.005, seed=seed), seed=seed).gain(1600) for seed in range(60))
    )
    # 95 % of 60 is 57; a parametric bootstrap of six points may be off by some: 50 is four deviations down.
    assert held >= 50


def test_what_no_label_can_mend_is_said():
    flat = fit_curve([Point(n, 0.25, 0.001) for n in (50, 100, 200, 400, 800)])
    assert flat.gain(100).value == pytest.approx(0.0, abs=1e-3)
    assert "next to nothing" in curve_sentence(flat, 100, "chat / en")
    assert "100 more labels in chat / en" in curve_sentence(flat, 100, "chat / en")


def test_a_sure_point_counts_more():
    bent = [*points(), Point(3200, 0.9, 10.0)]
    assert fit_curve(bent).power == pytest.approx(0.5, abs=1e-2)


def test_points_that_cannot_be_used_are_refused():
    with pytest.raises(DataError, match="more points"):
        fit_curve(points()[:3])
    with pytest.raises(DataError, match="cannot be used"):
        fit_curve([*points(), Point(10, 0.5, 0.0)])


def test_logistic_weights_are_where_the_gradient_ends():
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(200, 3)), rng.random(200)
    weights = fit_logistic(x, share, 0.7)
    p = 1 / (1 + np.exp(-x @ weights))
    assert np.abs(x.T @ (share - p) - 0.7 * weights).max() < 1e-8


def judged(seed, rows, informative_splits):
    """Answers of words whose worth is known. Where raters are split, that tells worth, or is a coin."""
    rng = np.random.default_rng(seed)
    words = [f"w{k}" for k in range(40)]
    worth = rng.normal(size=40)
    made = []
    for k in range(rows):
        sides = [rng.integers(0, 40, 6) for _ in range(2)]
        gap = worth[sides[0]].sum() - worth[sides[1]].sum()
        p = 1 / (1 + np.exp(-gap))
        if not informative_splits and k % 2:
            p = 0.5  # raters who did not read
        votes = int(rng.binomial(5, p))
        texts = [" ".join(words[w] for w in side) for side in sides]
        first = votes >= 3
        counts = (votes, 5 - votes, 0) if first else (5 - votes, votes, 0)
        made.append(
            Preference(
                comparison=str(k),
                prompt=Prompt.of(str(k)),
                chosen=texts[0 if first else 1],
                rejected=texts[1 if first else 0],
                p_chosen=max(counts[0] / 5, 0.5),
                votes=counts,
            )
        )
    return made


def test_splits_that_tell_something_are_not_filtered_away_for_nothing():
    found = measure_filter(judged(0, 900, informative_splits=True), words=128)
    assert 0.5 < found.kept < 1
    assert found.filtered.value > 0
    assert found.verdict in ("hurts", "no difference seen")
    assert "keep all" in sentence(found)
    assert found.soft.value < np.log(2)


def test_hard_labels_are_not_blamed_for_boasting():
    # One word decides, and all raters but a few see it: sides and shares teach the same direction, so that at the
    # best temperature they lose alike, although hard labels make weights far larger.
    made = [
        Preference(
            comparison=str(k),
            prompt=Prompt.of(str(k)),
            chosen="right",
            rejected="wrong",
            p_chosen=0.8,
            votes=(4, 1, 0),
        )
        for k in range(200)
    ]
    found = measure_filter(made, words=16)
    assert found.majority.value == pytest.approx(0.0, abs=1e-3)
    assert found.filtered.value == pytest.approx(0.0, abs=1e-3)


def test_too_little_overlap_is_said():
    with pytest.raises(DataError, match="two votes"):
        measure_filter(judged(0, 30, informative_splits=True))
