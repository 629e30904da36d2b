"""The recommended method: a majority until the data show carelessness, and near true weights then."""

import numpy as np
import pytest
from scripts.people import aggregation

from palate.core.errors import ConfigError
from palate.preferences.recommend import against_known, against_known_sentence, believe, choose
from palate.preferences.votes import FIRST, SECOND, TIE, votes_from


def pool(seed, skill, comparisons=1000, overlap=3):
    rng = np.random.default_rng(seed)
    skill = np.asarray(skill)
    truth = rng.integers(0, 2, comparisons)
    rater = np.argsort(rng.random((comparisons, len(skill))), axis=1)[:, :overlap].ravel()
    item = np.repeat(np.arange(comparisons), overlap)
    said = np.where(rng.random(len(item)) < skill[rater], truth[item], 1 - truth[item])
    return votes_from(item, rater, said), truth


def test_near_true_weights_with_careless_raters():
    # 40 of the 200 simulations of the figure. Its mean is .23 points with a spread of .5: 40 know it to .08.
    gaps = [aggregation.simulate(seed, 1000) for seed in range(40)]
    assert np.mean([gap.recommended for gap in gaps]) <= 1.0
    assert np.mean([gap.majority for gap in gaps]) >= 2.0


def test_careless_raters_are_named_and_weighted():
    votes, _ = pool(0, [0.5, 0.5, *[0.9] * 8])
    choice = choose(votes)
    assert choice.method == "one-coin"
    assert set(choice.careless) == {"0", "1"}
    assert "far less" in choice.reason


def test_a_majority_stays_where_all_are_alike_or_few():
    named = sum(choose(pool(seed, [0.8] * 10)[0]).method != "soft" for seed in range(20))
    # Ten raters at a tail of half a percent each: 1 in 20 pools; five of twenty is beyond chance (p < .003).
    assert named < 5
    assert choose(pool(0, [0.5, 0.9, 0.9, 0.9])[0]).method == "soft"
    assert "4 raters" in choose(pool(0, [0.5, 0.9, 0.9, 0.9])[0]).reason
    assert choose(pool(0, [0.5, *[0.9] * 9], comparisons=30)[0]).method == "soft"


def test_a_rater_of_another_taste_is_not_careless_and_never_turned_round():
    votes, _ = pool(1, [0.05, *[0.9] * 9])
    assert choose(votes).careless == ("0",)
    assert choose(votes, consistent=["0"]).method == "soft"
    alone = votes_from([0], [0], [FIRST])
    both = votes_from(np.append(votes.comparison, 1000), np.append(votes.rater, 0), np.append(votes.label, FIRST))
    # What the opposite rater alone says of a new comparison is not believed, and not believed the other way round.
    assert believe(both, "one-coin").p_first[1000] == pytest.approx(0.5)
    assert believe(alone, "one-coin").p_first[0] > 0.5


def test_soft_is_the_soft_label_and_ties_pull_to_the_middle():
    votes = votes_from([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [FIRST, FIRST, TIE, SECOND, SECOND])
    assert believe(votes, "soft").p_first.tolist() == pytest.approx([2.75 / 3.5, 0.25 / 2.5])
    # Three raters of one mind and a tie: the tie is half for each side.
    coin = believe(votes, "one-coin")
    assert coin.p_first[0] == pytest.approx((2 * coin.skills.posterior_IK[0, FIRST] + 0.5) / 3)
    with pytest.raises(ConfigError, match="no such method"):
        believe(votes, "oracle")


def test_known_answers_say_which_method_wins():
    votes, truth = pool(2, [0.5, 0.5, 0.5, *[0.9] * 7], comparisons=2000)
    found = against_known(votes, np.where(np.arange(2000) % 2, truth, -1))
    assert found["one-coin"].value > found["soft"].value
    assert found["soft"].n == 1000
    assert "skill" in against_known_sentence(found) or "Dawid-Skene" in against_known_sentence(found)
    votes, truth = pool(2, [1.0] * 10, comparisons=60, overlap=5)
    assert "majority does as well" in against_known_sentence(against_known(votes, truth))
    assert "cannot be held" in against_known_sentence(against_known(votes, np.full(60, -1)))
