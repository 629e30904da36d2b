"""Noise is told from opinion, groups are counted, minorities are heard of, and holes have names."""

import numpy as np
import pytest

from palate.core.errors import DataError
from palate.core.records import TASKS
from palate.preferences import coverage, divergence, minorities
from palate.preferences.votes import FIRST, SECOND, TIE, votes_from

REPEAT = TASKS.index("repeat")


def two_tastes(noise, opposed, seed=0, comparisons=4000):
    """Two raters a comparison, one of each group, each asked again; groups differ on a share of comparisons."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 2, comparisons)
    other = np.where(rng.random(comparisons) < opposed, 1 - taste, taste)
    wanted = np.stack([taste, other, taste, other], axis=1).ravel()
    said = np.where(rng.random(len(wanted)) < noise, 1 - wanted, wanted)
    item = np.repeat(np.arange(comparisons), 4)
    return votes_from(item, np.tile([0, 1, 0, 1], comparisons), said, task=np.tile([0, 0, REPEAT, REPEAT], comparisons))


def test_pure_noise_is_all_noise():
    found = divergence.disagreement(two_tastes(0.1, 0.0))
    # Two draws of a 10 % error differ with 2 * .1 * .9 = 18 %, whether of one rater or of two.
    assert found.noise.low <= 0.18 <= found.noise.high
    assert found.between.low <= 0.18 <= found.between.high
    assert found.divergence.low < 0 < found.divergence.high
    assert "may be noise alone" in divergence.sentence(found)


def test_pure_opinion_is_all_opinion():
    found = divergence.disagreement(two_tastes(0.0, 0.3))
    assert found.noise.value == 0.0
    assert found.between.low <= 0.3 <= found.between.high
    assert found.share_real.value == 1.0
    assert "100% of disagreement is opinion" in divergence.sentence(found)


def test_both_are_told_apart():
    found = divergence.disagreement(two_tastes(0.1, 0.3))
    # Differ: .3 opposed and both alike in error (.82), or not opposed and errors differ (.18): .246 + .126.
    assert found.between.low <= 0.372 <= found.between.high
    assert found.divergence.low <= 0.372 - 0.18 <= found.divergence.high
    assert found.share_real.low <= 1 - 0.18 / 0.372 <= found.share_real.high


def test_what_stands_between_groups_by_hand():
    # Group a (raters 0, 1) agrees on both comparisons, group b (2, 3) on the first only.
    votes = votes_from(np.repeat([0, 1], 4), [0, 1, 2, 3] * 2, [0, 0, 1, 1, 0, 0, 0, 1])
    found = divergence.disagreement(votes, np.array([0, 0, 1, 1]))
    assert (found.within_groups.value, found.within_groups.n) == (1 / 4, 4)
    assert (found.across_groups.value, found.across_groups.n) == (6 / 8, 8)
    assert found.groups.value == pytest.approx(0.5)
    assert divergence.disagreement(votes, np.full(4, -1)).within_groups.n == 0
    assert "nobody was asked" in divergence.sentence(found)


def test_most_split_first():
    votes = votes_from(
        [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3],
        [0, 1, 2, 0, 1, 0, 1, 2, 3, 0, 1],
        [FIRST, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, TIE],
    )
    assert [row.comparison for row in divergence.most_split(votes, 5)] == ["2", "1", "0"]
    assert divergence.most_split(votes, 1)[0][1:] == (2, 2, 0)


def test_a_minority_is_overruled_as_often_as_it_is():
    # Raters 0-3 are the many, 4 is a group of one, 5 told none. 4 is outvoted on 0, agrees on 1, ties all on 2
    # (5 says the same as 4, so two against two), and is alone on 3.
    rows = [
        (0, 0, 0),
        (0, 1, 0),
        (0, 4, 1),
        (1, 0, 1),
        (1, 4, 1),
        (2, 0, 0),
        (2, 1, 0),
        (2, 4, 1),
        (2, 5, 1),
        (3, 4, 0),
    ]
    item, rater, label = np.array(rows).T
    votes = votes_from(item, rater, label)
    group = np.array([0, 0, 0, 0, 1, -1])
    small, large = minorities.groups(votes, group, ["many", "one"])
    assert (small.name, small.raters, small.judgements, small.share) == ("one", 1, 4, 0.4)
    assert (small.overruled.value, small.overruled.n) == (pytest.approx(1 / 3), 3)
    assert (large.overruled.value, large.overruled.n) == (0.0, 3)
    (row,) = minorities.overruled(votes, group, ["many", "one"], 5)
    assert row == ("0", "one", (0, 2), (1, 0))
    assert "1 raters" in minorities.sentence(small)


def test_holes_have_names():
    votes = votes_from(np.arange(40), np.arange(40) % 2, [FIRST] * 40)
    kinds = ["chat"] * 35 + ["refunds"] * 5
    languages = ["en"] * 30 + ["de"] * 10
    found = coverage.coverage(
        votes,
        {"category": kinds, "language": languages},
        {"group": ["a", "b"]},
        wanted=10,
        expected={"category": ["law"]},
    )
    holes = [cell.names for cell in found.holes]
    assert holes[:2] == [("law",), ("refunds",)]
    # chat in German has five, and both chat and German are covered well enough: a hole of its own.
    assert ("chat", "de") in holes
    assert not any("refunds" in names and len(names) == 2 for names in holes), "said already"
    by_name = {(cell.axes, cell.names): cell for cell in found.cells}
    assert by_name[("category",), ("chat",)][2:] == (35, 35, 2)
    assert by_name[("category", "language"), ("chat", "de")][2:4] == (5, 5)
    assert "law (0), refunds (5)" in coverage.sentence(found)
    untold = coverage.coverage(votes, {"category": ["chat"] * 39 + [""]})
    assert (coverage.NOT_TOLD,) in {cell.names for cell in untold.cells}
    assert untold.holes == [], "what nobody told is no category that could be asked for"
    with pytest.raises(DataError, match="does not fit"):
        coverage.coverage(votes, {"category": ["chat"]})
    assert "No hole" in coverage.sentence(coverage.coverage(votes, {"language": ["en"] * 40}))
