"""Agreement above chance equals what the oracles say, and its intervals hold the truth as often as they claim."""

import math

import numpy as np
import pytest
from tests.unit.preferences.oracles import ALPHA_3, ALPHA_7, COHEN, FLEISS, table

from palate.core.errors import ConfigError
from palate.core.records import Judgement, Verdict
from palate.preferences import reliability
from palate.preferences.agreement import krippendorff_alpha as alpha_of_records
from palate.preferences.analytic import share, shares_by
from palate.preferences.resampling import ratio
from palate.preferences.votes import FIRST, SECOND, TIE, votes_from


def votes_in(rows):
    item, rater, label = np.array(rows).T
    return votes_from(item, rater, label)


def counts_in(rows, levels):
    counts = np.zeros((60, levels))
    for item, _, label in rows:
        counts[item, label] += 1
    return counts


def test_fleiss_kappa_is_the_oracles():
    found = reliability.fleiss_kappa(votes_in(table()))
    assert found.value == pytest.approx(FLEISS, abs=1e-9)
    assert (found.n, found.units) == (360, 60)


def test_cohens_kappa_is_the_mean_of_the_oracles():
    assert reliability.cohen_kappa(votes_in(table())).value == pytest.approx(COHEN, abs=1e-9)


@pytest.mark.parametrize("level", reliability.LEVELS)
def test_alpha_is_the_oracles_on_every_level(level):
    rows = table(skip=1)
    three = reliability.alpha_of_counts(counts_in(rows, 3), np.arange(3.0), level)
    assert three.value == pytest.approx(ALPHA_3[level], abs=1e-9)
    seven = counts_in([(i, r, (3 * label + i + r) % 7) for i, r, label in rows], 7)
    assert reliability.alpha_of_counts(seven, np.arange(7.0), level).value == pytest.approx(ALPHA_7[level], abs=1e-9)


def test_kappa_weighs_pairs_of_raters_by_what_they_share():
    # Raters 0 and 1 share four items and agree on all, two of each kind: kappa 1. Raters 0 and 2 share two items:
    # one agrees, 2 says first twice: observed 1/2, expected 1/2, kappa 0. Raters 1 and 2 the same. (4 + 0 + 0) / 8.
    rows = [(i, r, i % 2) for i in range(4) for r in (0, 1)] + [(0, 2, FIRST), (1, 2, FIRST)]
    found = reliability.cohen_kappa(votes_in(rows))
    assert (found.value, found.n) == (pytest.approx(0.5), 8)


def test_two_who_never_agree_have_kappa_zero_and_count():
    # One always says first, the other second: observed 0, expected 0. That is a kappa of 0, and not "unknown".
    found = reliability.cohen_kappa(votes_in([(i, r, r) for i in range(6) for r in (0, 1)]))
    assert (found.value, found.n) == (0.0, 6)


def test_analytic_intervals_are_as_wide_as_a_bootstrap():
    rows = table(items=400, raters=4, skip=1)
    votes = votes_in(rows)
    found = reliability.krippendorff_alpha(votes)
    made = [
        Judgement(uid=str(k), comparison=str(i), rater=str(r), verdict=list(Verdict)[label])
        for k, (i, r, label) in enumerate(rows)
    ]
    drawn = alpha_of_records(made, resamples=2000)
    # 2,000 resamples know a width to about 3 %; four times that cannot fail by chance.
    assert 0.88 < (found.high - found.low) / (drawn.high - drawn.low) < 1.12
    parts = np.arange(200) % 3
    plain, resampled = share(parts, np.full(200, 3)), ratio(parts, [3.0] * 200, resamples=2000)
    assert plain.value == resampled.value
    assert 0.88 < (plain.high - plain.low) / (resampled.high - resampled.low) < 1.12


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_intervals_of_alpha_hold_the_truth(level):
    # 300 data sets of 150 comparisons by raters of one kind; 95 % hold the truth but for chance and few units:
    # 0.90 is four standard deviations (1.26 %) below.
    def draw(seed, units):
        rng = np.random.default_rng(seed)
        lean = rng.dirichlet([1.0, 1.0, 0.5], size=units)
        upto = lean.cumsum(axis=1)
        labels = (rng.random((units, 3, 1)) > upto[:, None]).sum(axis=2).clip(0, 2)
        return np.stack([(labels == k).sum(axis=1) for k in range(3)], axis=1)

    truth = reliability.alpha_of_counts(draw(0, 400_000), np.arange(3.0), level).value
    held = 0
    for seed in range(1, 301):
        found = reliability.alpha_of_counts(draw(seed, 150), np.arange(3.0), level)
        held += found.low <= truth <= found.high
    assert held / 300 >= 0.90
    assert held / 300 <= 0.995


def test_when_all_agree_no_interval_is_a_point_and_one_verdict_tells_nothing():
    same = votes_in([(i, r, i % 2) for i in range(10) for r in range(2)])
    for found in (reliability.raw(same), reliability.fleiss_kappa(same), reliability.krippendorff_alpha(same)):
        assert found.value == pytest.approx(1.0)
        assert found.low < 0.9
    one = votes_in([(i, r, FIRST) for i in range(10) for r in range(2)])
    assert math.isnan(reliability.krippendorff_alpha(one).value)
    assert math.isnan(reliability.cohen_kappa(one).value)
    assert "cannot be known" in reliability.sentence(reliability.agreement_of(one))
    alone = votes_in([(i, 0, FIRST) for i in range(10)])
    assert "nothing is known" in reliability.sentence(reliability.agreement_of(alone))


def test_a_slight_difference_costs_less_on_the_scale():
    # Two raters: one says much better, the other slightly better, on the same side: nominal agreement is full.
    near = votes_from(
        np.repeat(np.arange(20), 2),
        np.tile([0, 1], 20),
        np.repeat(np.arange(20) % 2, 2),
        strength=np.tile([3, 1], 20),
    )
    far = votes_from(
        near.comparison, near.rater, np.where(near.rater == 0, near.label, TIE), strength=np.tile([3, 0], 20)
    )
    assert reliability.krippendorff_alpha(near).value == 1.0
    assert 0.5 < reliability.krippendorff_alpha(near, "interval").value < 1.0
    assert (
        reliability.krippendorff_alpha(far, "interval").value < reliability.krippendorff_alpha(near, "interval").value
    )


def test_versions_and_groups_are_told_apart():
    item = np.repeat(np.arange(8), 2)
    label = np.where(item < 4, item % 2, np.tile([FIRST, SECOND], 8))
    votes = votes_from(item, np.tile([0, 1], 8), label, guideline=(item >= 4).astype(int), guidelines=["old", "new"])
    found = reliability.by_guideline(votes)
    assert (found["old"].raw.value, found["new"].raw.value) == (1.0, 0.0)
    grouped = reliability.by_group(votes, (np.arange(8) >= 4).astype(int), ["a", "b"])
    assert (grouped["a"].raw.value, grouped["b"].raw.value) == (1.0, 0.0)


def test_shares_of_many_groups_are_those_of_each():
    group, parts = np.arange(60) % 4, np.arange(60) % 3
    found = shares_by(group, parts, np.full(60, 2), 5)
    for number in range(4):
        assert found[number] == pytest.approx(share(parts[group == number], np.full(15, 2)))
    assert found[4].n == 0


def test_all_of_few_comparisons_are_as_many_trials():
    # Five comparisons of three pairs each all agree: five trials, and not fifteen. 5 / (5 + 1.96^2).
    assert share(np.full(5, 3), np.full(5, 3)).low == pytest.approx(5 / (5 + 1.959964**2))


def test_an_unknown_level_is_refused():
    with pytest.raises(ConfigError, match="level"):
        reliability.krippendorff_alpha(votes_in(table()), "ratio")
    with pytest.raises(ConfigError, match="tie_credit"):
        reliability.raw(votes_in(table()), tie_credit=2)
