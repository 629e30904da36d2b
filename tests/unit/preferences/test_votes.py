"""Columns say the same as records: who is heard, and what follows from it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core.errors import DataError
from palate.core.records import Judgement, Verdict
from palate.preferences import agreement, reliability
from palate.preferences.voices import by_comparison
from palate.preferences.votes import FIRST, SECOND, TIE, votes_from, votes_of

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(list(Verdict)), st.booleans()), max_size=25
)


def journal_rows(given_):
    """The fourth entry: supersede this rater's last judgement of the comparison."""
    made, last = [], {}
    for k, (c, r, verdict, corrects) in enumerate(given_):
        earlier = last.get((c, r), "") if corrects else ""
        made.append(Judgement(uid=str(k), comparison=f"c{c}", rater=f"r{r}", verdict=verdict, supersedes=earlier))
        last[c, r] = str(k)
    return made


@given(ROWS)
def test_the_same_voices_are_heard(given_):
    made = journal_rows(given_)
    voices = votes_of(made).voices()
    told = sorted(
        (voices.comparisons[c], voices.raters[r], list(Verdict)[label])
        for c, r, label in zip(voices.comparison, voices.rater, voices.label, strict=True)
    )
    assert told == sorted((j.comparison, j.rater, j.verdict) for group in by_comparison(made).values() for j in group)


@given(ROWS)
def test_figures_of_columns_and_of_records_are_the_same(given_):
    made = journal_rows(given_)
    votes = votes_of(made)
    for ours, theirs in (
        (reliability.raw(votes), agreement.agreement(made, resamples=20)),
        (reliability.raw(votes, tie_credit=0.5), agreement.agreement(made, tie_credit=0.5, resamples=20)),
        (reliability.krippendorff_alpha(votes), agreement.krippendorff_alpha(made, resamples=20)),
    ):
        assert ours.value == pytest.approx(theirs.value, abs=1e-9, nan_ok=True)
        assert (ours.n, ours.units) == (theirs.n, theirs.units)


def test_a_row_holds_all_that_statistics_need():
    one = Judgement(uid="1", comparison="c", rater="r", verdict=Verdict.SECOND, strength=3, seconds=4.5, guideline="g")
    two = replace(
        one, uid="2", verdict=Verdict.FIRST, swapped=True, task="repeat", judged_at="1970-01-01T00:01:00+00:00"
    )
    votes = votes_of([one, two], {"c": (10, 20)})
    assert votes.swapped.tolist() == [False, True]
    assert votes.scale().tolist() == [-3, 3]
    assert votes.seconds.tolist() == [4.5, 4.5]
    assert (votes.time[1], votes.guidelines, votes.length.tolist()) == (60.0, ["g"], [[10, 20]])
    assert len(votes) == 2
    assert votes.heard().label.tolist() == [FIRST]


def test_the_scale_takes_an_unsaid_strength_for_the_middle():
    votes = votes_from([0, 0, 0, 0], [0, 1, 2, 3], [FIRST, SECOND, TIE, SECOND], strength=[0, 0, 0, 1])
    assert votes.scale().tolist() == [2, -2, 0, -1]


def test_what_points_at_nothing_is_refused():
    with pytest.raises(DataError, match="rater"):
        votes_from([0], [1], [0], raters=["only one"])
    with pytest.raises(DataError, match="differ in length"):
        votes_from([0, 1], [0], [0])
    with pytest.raises(DataError, match="lengths"):
        votes_from([0], [0], [0], length=np.zeros((2, 2)))
