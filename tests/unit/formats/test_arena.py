"""Battles as the cards of the lmsys and lmarena-ai data sets describe them."""

import csv
import json

import pytest

from palate.core.records import Verdict
from palate.formats import pair_records, read


def talk(*texts):
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]


def battle(winner, a=("q", "yes"), b=("q", "no"), **more):
    return {
        "question_id": "1",
        "model_a": "gpt",
        "model_b": "llama",
        "winner": winner,
        "judge": "arena_user_7",
        "conversation_a": talk(*a),
        "conversation_b": talk(*b),
        "turn": 1,
        "anony": True,
        **more,
    }


@pytest.mark.parametrize(
    ("winner", "verdict"),
    [
        ("model_a", Verdict.FIRST),
        ("model_b", Verdict.SECOND),
        ("tie", Verdict.TIE),
        ("tie (bothbad)", Verdict.BOTH_BAD),
        ("both_bad", Verdict.BOTH_BAD),
    ],
)
def test_a_battle_is_a_pair_in_its_own_order(take, winner, verdict):
    found = take(battle(winner))
    (pair,) = found.pairs
    assert found.shape == "arena"
    assert (pair.first, pair.second, pair.verdict) == ("yes", "no", verdict)
    assert (pair.rater, pair.writers) == ("arena_user_7", ("gpt", "llama"))
    assert found.lost == {"question_id": 1, "anony": 1}


def test_models_and_raters_reach_the_journal(take):
    records = pair_records(take(battle("model_a")), "f" * 16)
    source = "import:" + "f" * 16
    assert [completion.policy for completion in records.completions] == [f"{source}:gpt", f"{source}:llama"]
    assert records.raters[0].id == f"{source}:arena_user_7"


def test_conversations_can_be_json_in_a_table(take):
    row = battle("model_b")
    row |= {name: json.dumps(row[name]) for name in ("conversation_a", "conversation_b")}
    assert take(row).pairs[0].verdict is Verdict.SECOND


def test_only_the_turns_that_were_judged_count(take):
    row = battle("model_a", ("q", "yes", "and?", "x"), ("q", "no", "and?", "y"))
    assert take(row).pairs[0].first == "yes"
    found = take(battle("model_a"), battle("model_a"), {**row, "turn": 2})
    assert found.refused[0].reason.startswith("the two conversations differ before their last turn, at turn 2")


def test_several_turns_that_agree_are_a_pair(take):
    row = battle("model_a", ("q", "same", "and?", "x"), ("q", "same", "and?", "y"), turn=2)
    (pair,) = take(row).pairs
    assert len(pair.prompt.messages) == 3


def flags(a, b, tie, **more):
    lists = {"prompt": '["q"]', "response_a": '["yes"]', "response_b": '["no"]'}
    names = {"winner_model_a": a, "winner_model_b": b, "winner_tie": tie}
    return {"id": "1", "model_a": "gpt", "model_b": "llama", **lists, **names, **more}


@pytest.mark.parametrize(
    ("row", "verdict"),
    [(flags(1, 0, 0), Verdict.FIRST), (flags(0, 1, 0), Verdict.SECOND), (flags("0", "0", "1"), Verdict.TIE)],
)
def test_the_55k_file_has_lists_and_flags(take, row, verdict):
    (pair,) = take(row).pairs
    assert (pair.first, pair.second, pair.verdict, pair.writers) == ("yes", "no", verdict, ("gpt", "llama"))


def test_the_55k_file_as_csv(tmp_path):
    path = tmp_path / "train.csv"
    rows = [flags(1, 0, 0), flags(0, 0, 1, response_b='["no,\\nnever"]')]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = read(path)
    assert [pair.second for pair in found.pairs] == ["no", "no,\nnever"]
    assert found.lost == {"id": 2}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (flags(1, 1, 0), "not exactly one of the three winners is 1; found 2 of them"),
        (flags(0, 0, 0), "not exactly one of the three winners is 1"),
        (flags(1, 0, 0, response_a='["a", "b"]'), "prompt and response_a differ in their number of turns"),
        (flags(1, 0, 0, response_a="[broken"), "response_a is not a conversation"),
        (flags(1, 0, 0, response_b="[null]"), "response_b is not a text; found nothing"),
        (battle("nobody"), "the verdict is not known; found `nobody`"),
        (battle("model_a", b=("other", "no")), "the two conversations differ before their last turn, at turn 1"),
        (battle("model_a", b=("q", "yes")), "the two completions are the same"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    found = take(battle("model_a"), battle("model_a"), bad)
    assert found.refused[0].reason.startswith(reason)
