"""Rows as the card of nvidia/HelpSteer2 describes them."""

import pytest

from palate.core.records import Verdict
from palate.formats import pair_records


def preference(strength, **more):
    return {
        "split": "train",
        "prompt": "q",
        "response_1": "a",
        "response_2": "b",
        "preference_strength": strength,
        "preference_statement": "b is better",
        "preference_elaboration": "it is kinder",
        **more,
    }


def rating(prompt, response, helpfulness):
    rest = {"correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 1}
    return {"prompt": prompt, "response": response, "helpfulness": helpfulness, **rest}


@pytest.mark.parametrize(
    ("strength", "verdict", "clear"),
    [
        (-3, Verdict.FIRST, 3),
        (-1, Verdict.FIRST, 1),
        (0, Verdict.TIE, 0),
        (2, Verdict.SECOND, 2),
        (3.0, Verdict.SECOND, 3),
    ],
)
def test_a_negative_strength_means_the_first(take, strength, verdict, clear):
    found = take(preference(strength))
    (pair,) = found.pairs
    assert found.shape == "helpsteer2"
    assert (pair.first, pair.second) == ("a", "b")
    assert (pair.verdict, pair.strength, pair.note) == (verdict, clear, "b is better\nit is kinder")
    assert found.lost == {"split": 1}
    (judgement,) = pair_records(found, "f" * 16).judgements
    assert (judgement.strength, judgement.note) == (clear, pair.note)


def test_two_rows_in_a_row_with_one_prompt_are_one_pair(take):
    found = take(rating("q", "a", 1), rating("q", "b", 4), rating("r", "c", 2), rating("r", "d", 2))
    assert [pair.verdict is Verdict.TIE for pair in found.pairs] == [False, True]
    better = found.pairs[0]
    assert (better.first if better.verdict is Verdict.FIRST else better.second) == "b"
    assert found.lost == {"correctness": 4, "coherence": 4, "complexity": 4, "verbosity": 4}
    assert found.rows == 4


def test_a_rating_alone_is_refused_and_rows_apart_are_not_joined(take):
    found = take(rating("q", "a", 1), rating("q", "b", 4), rating("s", "c", 2), rating("q", "e", 0))
    assert len(found.pairs) == 1
    assert [refusal.where for refusal in found.refused] == ["rows.jsonl:3", "rows.jsonl:4"]
    assert found.refused[0].reason.startswith("only one response")


def test_joined_rows_are_refused_together(take):
    found = take(rating("q", "a", 1), rating("q", "b", 4), rating("s", "c", 2), rating("s", "d", "high"))
    assert [refusal.where for refusal in found.refused] == ["rows.jsonl:3", "rows.jsonl:4"]
    assert "out of its scale" in found.refused[1].reason


def test_markers_part_the_turns_of_a_prompt(take):
    text = "one\n<extra_id_1>Assistant\ntwo\n<extra_id_1>User\nthree"
    (pair,) = take(preference(1, prompt=text)).pairs
    assert [(turn.role, turn.content) for turn in pair.prompt.messages] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (preference(4), "a figure is out of its scale; found `4`"),
        (preference(1.5), "a figure is out of its scale"),
        (preference(None), "a figure is out of its scale"),
        (preference(True), "a figure is out of its scale"),
        (preference(1, response_2="a"), "the two completions are the same"),
        (preference(1, response_2=""), "the response_2 completion is empty"),
        (preference(1, prompt="q\n<extra_id_1>Assistant\na"), "the prompt does not wait for the assistant"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    found = take(preference(1), preference(1), bad)
    assert found.refused[0].reason.startswith(reason)
