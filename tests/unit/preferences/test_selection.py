"""Every strategy asks about what it says, the random slice is fair, and D-optimal is greedy to the last digit."""

from itertools import combinations

import numpy as np
import pytest

from palate.core.errors import ConfigError, DataError
from palate.preferences.selection import (
    Candidates,
    SelectionConfig,
    best_against_random,
    d_optimal,
    information,
    select,
    sentence,
)


def settled(strategy, candidates, count=4, **more):
    batch = select(SelectionConfig(strategy=strategy, count=count, random_share=0.01, **more), candidates)
    assert batch[0].reason == "random"
    assert len({row.candidate for row in batch}) == len(batch)
    return [row.candidate for row in batch if row.reason == strategy], batch[0].candidate


def test_near_ties_and_large_gaps():
    p = np.array([0.5, 0.9, 0.45, 0.02, 0.7, 0.6, 0.3, 0.8])
    chosen, drawn = settled("near-tie", Candidates(8, p))
    assert chosen == [k for k in (0, 2, 5, 4, 6) if k != drawn][:3] or set(chosen) <= {0, 2, 4, 5, 6}
    chosen, drawn = settled("large-gap", Candidates(8, p))
    assert chosen == [k for k in (3, 1, 7, 4) if k != drawn][:3] or set(chosen) <= {1, 3, 4, 6, 7}


def test_the_ensemble_is_asked_what_it_disagrees_on():
    members = np.array([[0.5, 0.1, 0.6, 0.5], [0.5, 0.9, 0.4, 0.5]])
    chosen, drawn = settled("ensemble", Candidates(4, members_MC=members), count=3)
    assert chosen[0] == (1 if drawn != 1 else 2)


def test_coverage_goes_where_least_is():
    group = np.repeat([0, 1, 2], 20)
    chosen, _ = settled("coverage", Candidates(60, group_C=group, judged_G=np.array([9, 0, 5])), count=9)
    counts = np.bincount(group[chosen], minlength=3)
    # Eight rows: five lift the empty group to the next, then the two take turns.
    assert counts[0] == 0
    assert counts[1] in (6, 7)


def test_d_optimal_is_the_greedy_choice_of_the_determinant():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(30, 4)), rng.uniform(0.05, 0.25, 30)
    known = information(rng.normal(size=(5, 4)), np.full(5, 0.5), 0.3)
    chosen = d_optimal(x, weights, known, 6)
    table, free = known.copy(), set(range(30))
    for ours in chosen:
        gains = {k: np.linalg.slogdet(table + weights[k] * np.outer(x[k], x[k]))[1] for k in free}
        assert ours == max(gains, key=gains.get)
        table += weights[ours] * np.outer(x[ours], x[ours])
        free.remove(ours)


def test_d_optimal_is_near_the_best_of_all_batches():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 3))
    weights, known = np.full(12, 0.25), np.eye(3)

    def gain(rows):
        rows = list(rows)
        return np.linalg.slogdet(known + (x[rows] * weights[rows, None]).T @ x[rows])[1]

    best = max(gain(rows) for rows in combinations(range(12), 4))
    assert gain(d_optimal(x, weights, known, 4)) >= (1 - 1 / np.e) * best
    assert gain(d_optimal(x, weights, known, 4)) > np.mean([gain(rows) for rows in combinations(range(12), 4)])


def test_a_batch_looks_at_itself():
    # Two directions, many copies each: asking twice in one direction tells less than once in both.
    x = np.concatenate((np.tile([2.0, 0.0], (5, 1)), np.tile([0.0, 1.9], (5, 1))))
    chosen = d_optimal(x, np.full(10, 0.25), np.eye(2), 2)
    assert {k // 5 for k in chosen} == {0, 1}


def test_the_random_slice_is_uniform_and_its_probability_is_logged():
    drawn = np.zeros(20)
    for seed in range(600):
        config = SelectionConfig(strategy="near-tie", count=10, random_share=0.3, seed=seed)
        batch = select(config, Candidates(20, np.linspace(0.01, 0.99, 20)))
        assert [row.probability for row in batch] == [3 / 20] * 3 + [1.0] * 7
        drawn[[row.candidate for row in batch if row.reason == "random"]] += 1
    # 600 draws of 3/20: mean 90, standard deviation 8.7; five of them.
    assert np.abs(drawn - 90).max() < 44
    assert "3 at random" in sentence(batch, "near-tie")


def test_random_is_all_slice_and_few_candidates_are_all_taken():
    batch = select(SelectionConfig(count=5), Candidates(8))
    assert {(row.reason, row.probability) for row in batch} == {("random", 5 / 8)}
    taken = select(SelectionConfig(strategy="near-tie", count=9), Candidates(4, np.full(4, 0.5)))
    assert {row.candidate for row in taken} == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_batch():
    one, two, other = (
        select(SelectionConfig(strategy="near-tie", count=6, seed=seed), Candidates(50, np.full(50, 0.5)))
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one != other


def test_what_is_missing_or_wrong_is_named():
    for strategy, what in (("near-tie", "believes"), ("ensemble", "models"), ("d-optimal", "features")):
        with pytest.raises(DataError, match=what):
            select(SelectionConfig(strategy=strategy, count=3), Candidates(5))
    with pytest.raises(ConfigError, match="no such strategy"):
        SelectionConfig(strategy="best")
    with pytest.raises(ConfigError, match="random slice"):
        SelectionConfig(random_share=0)


def test_the_best_stands_against_a_random_other_on_either_side():
    scores = np.tile([0.1, 0.9, 0.3, 0.2], (4000, 1))
    first, second = best_against_random(scores, 0)
    assert ((first == 1) != (second == 1)).all()
    # 4,000 coins: five standard deviations are 158; 4,000 thirds: 149.
    assert abs((first == 1).sum() - 2000) < 158
    others = np.bincount(np.where(first == 1, second, first), minlength=4)
    assert np.abs(others[[0, 2, 3]] - 4000 / 3).max() < 149
    with pytest.raises(DataError, match="two completions"):
        best_against_random(scores[:, :1], 0)
