"""Expectation and maximisation: as likely as the oracle's, never falling, and right on public labels."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.preferences.oracles import DAWID_SKENE, DAWID_SKENE_LABELS, ONE_COIN, ONE_COIN_LABELS, table

from palate.core.errors import ConfigError, DataError
from palate.preferences.dawid_skene import Labels, dawid_skene, majority_shares, one_coin, weighted_posterior


def labels_in(rows, items, raters, classes=3):
    return Labels(*np.array(rows).T, items, raters, classes)


@pytest.mark.parametrize(
    ("learn", "likelihood", "labels"),
    [(dawid_skene, DAWID_SKENE, DAWID_SKENE_LABELS), (one_coin, ONE_COIN, ONE_COIN_LABELS)],
)
def test_as_likely_as_the_oracle_with_the_same_labels(learn, likelihood, labels):
    found = learn(labels_in(table(300, 8, skip=1), 300, 8), steps=2000, tolerance=1e-12)
    assert found.converged
    assert found.log_likelihood >= likelihood - 1e-6
    same = np.mean([str(ours) == theirs for ours, theirs in zip(found.labels(), labels, strict=True)])
    assert same >= 0.995


TABLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40)


@settings(max_examples=60)
@given(TABLES, st.sampled_from([0.0, 0.5]), st.booleans())
def test_the_likelihood_never_falls(rows, prior, floored):
    labels = labels_in(rows, 6, 4)
    runs = [dawid_skene(labels, prior=prior), one_coin(labels, prior=(2 * prior, prior), floor=0.4 * floored)]
    for found in runs:
        assert np.diff(found.trace).min(initial=0.0) >= -1e-7
        assert np.allclose(found.posterior_IK.sum(axis=1), 1.0, atol=1e-9)


def test_true_skill_is_found_and_beats_the_majority():
    rng = np.random.default_rng(3)
    skill = np.array([0.95, 0.9, 0.85, 0.5, 0.5])
    truth = rng.integers(0, 2, 2000)
    item, rater = (grid.ravel() for grid in np.mgrid[0:2000, 0:5])
    said = np.where(rng.random(10_000) < skill[rater], truth[item], 1 - truth[item])
    labels = Labels(item, rater, said, 2000, 5, 2)
    found = one_coin(labels)
    # 2,000 labels of a rater know a share to 1.1 %; four times that.
    assert np.abs(found.accuracy_R - skill).max() < 0.045
    majority = (majority_shares(labels).argmax(axis=1) == truth).mean()
    best = weighted_posterior(labels, np.stack([[[s, 1 - s], [1 - s, s]] for s in skill]), np.full(2, 0.5))
    assert (found.labels() == truth).mean() > majority + 0.02
    assert (found.labels() == truth).mean() == pytest.approx((best.argmax(axis=1) == truth).mean(), abs=0.01)


def test_known_items_are_held_and_teach():
    # Two camps of two: nothing but known items can say which one is right.
    rows = [(i, r, (i + (r > 1)) % 2) for i in range(20) for r in range(4)]
    labels = labels_in(rows, 20, 4, 2)
    known = np.full(20, -1)
    known[:6] = np.arange(6) % 2
    found = one_coin(labels, known=known)
    assert (found.labels() == np.arange(20) % 2).all()
    other = one_coin(labels, known=np.where(known >= 0, 1 - known, -1))
    assert (other.labels() == 1 - np.arange(20) % 2).all()


def test_a_floor_ignores_an_opposite_rater_and_never_turns_them_round():
    rows = [(i, r, i % 2 if r < 3 else 1 - i % 2) for i in range(40) for r in range(4)]
    labels = labels_in(rows, 40, 4, 2)
    assert one_coin(labels).accuracy_R[3] < 0.1
    assert one_coin(labels, floor=0.5).accuracy_R[3] == pytest.approx(0.5)


def test_an_item_without_a_label_has_the_shares_of_all():
    found = dawid_skene(Labels(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0, 0, 1]), 3, 2, 2))
    assert found.posterior_IK[2] == pytest.approx(found.shares_K, abs=1e-6)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="no label"):
        dawid_skene(Labels(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), 0, 0, 2))
    with pytest.raises(DataError, match="no class"):
        dawid_skene(Labels(np.array([0]), np.array([0]), np.array([2]), 1, 1, 2))
    with pytest.raises(ConfigError, match="prior"):
        dawid_skene(Labels(np.array([0]), np.array([0]), np.array([0]), 1, 1, 2), prior=-1)
    with pytest.raises(DataError, match="known classes"):
        one_coin(Labels(np.array([0]), np.array([0]), np.array([0]), 1, 1, 2), known=np.array([0, 1]))


@pytest.mark.skipif(not os.environ.get("PALATE_DATA"), reason="PALATE_DATA does not say where public labels lie")
def test_public_labels():
    from scripts.people import aggregation

    folder = Path(os.environ["PALATE_DATA"])
    learned, majority = aggregation.accuracies(aggregation.barzan(folder))
    assert learned == pytest.approx(0.712, abs=0.002)
    assert majority == pytest.approx(0.696, abs=0.002)
    learned, majority = aggregation.accuracies(aggregation.adult(folder))
    assert 0.735 <= learned <= 0.770
    assert majority > learned, "where the majority wins the page says so"
