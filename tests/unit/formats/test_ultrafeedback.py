"""Rows as the README of OpenBMB/UltraFeedback shows them."""

import pytest

from palate.core.errors import DataError
from palate.core.records import Verdict


def done(text, score=None, model="m", rating="2"):
    aspects = {name: {"Rating": rating, "Rationale": "because"} for name in ("honesty", "helpfulness")}
    overall = {} if score is None else {"overall_score": score}
    return {"model": model, "response": text, "principle": "honesty", "annotations": aspects, **overall}


def row(*completions):
    return {
        "source": "sharegpt",
        "instruction": "q",
        "models": [c["model"] for c in completions],
        "correct_answers": ["None"],
        "completions": list(completions),
    }


def told(pair):
    if pair.verdict is Verdict.TIE:
        return {pair.first, pair.second}
    return (pair.first, pair.second) if pair.verdict is Verdict.FIRST else (pair.second, pair.first)


def test_every_two_completions_are_a_pair_by_their_overall_score(take):
    found = take(row(done("a", 3.0), done("b", 8.5, "n"), done("c", 3.0)))
    assert found.shape == "ultrafeedback"
    assert [told(pair) for pair in found.pairs] == [("b", "a"), {"a", "c"}, ("b", "c")]
    assert dict(zip((found.pairs[0].first, found.pairs[0].second), found.pairs[0].writers, strict=True)) == {
        "a": "m",
        "b": "n",
    }
    assert found.lost == {
        "source": 1,
        "correct_answers": 1,
        "completions[].principle": 1,
        "completions[].annotations": 1,
    }


def test_without_an_overall_score_the_mean_rating_counts(take):
    found = take(row(done("a", rating="2"), done("b", rating="4")))
    assert [told(pair) for pair in found.pairs] == [("b", "a")]


def test_completions_without_a_score_are_counted(take):
    found = take(row(done("a", rating="2"), done("b", rating="N/A"), done("c", rating="5")))
    assert [told(pair) for pair in found.pairs] == [("c", "a")]
    assert found.lost["completions without a score"] == 1


def test_equal_texts_are_no_pair_and_counted(take):
    found = take(row(done("a", 1), done(" a", 5), done("b", 3)))
    assert len(found.pairs) == 2
    assert found.lost["pairs of empty or equal answers"] == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(done("a", 1)), "no two completions have a score and differ; found 1 with a score"),
        (row(), "no two completions have a score"),
        ({**row(done("a", 1)), "completions": ["a"]}, "completions is not a list of objects"),
        ({**row(done("a", 1), done("b", 2)), "instruction": " "}, "the prompt is empty"),
        (row(done("a", 1), done(None, 2)), "completions[1].response is not a text"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    good = row(done("a", 1), done("b", 2))
    found = take(good, good, bad)
    assert found.refused[0].reason.startswith(reason)


def test_alpaca_is_not_taken_for_it(take):
    assert take({"instruction": "q", "output": "a"}).shape == "alpaca"
    with pytest.raises(DataError, match="cannot be told"):
        take({"instruction": "q", "completions": ["a"]})
