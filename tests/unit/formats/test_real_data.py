"""Public files, where PALATE_DATA names their folder."""

import json
from collections import Counter

import pytest

from palate.core.ids import file_id
from palate.core.records import Preference, Verdict
from palate.formats import pair_records, read
from palate.formats.write import TARGETS, write_preferences


def test_hh_harmless(data):
    path = data / "hh_harmless_test" / "split_dev.jsonl"
    found = read(path)
    assert (found.shape, found.rows, len(found.pairs), found.lost) == ("hh", 1615, 1608, {})
    reasons = Counter(refusal.reason.split(";")[0] for refusal in found.refused)
    assert reasons == {
        "the chosen completion is empty": 2,
        "the two conversations differ in their number of turns": 5,
    }
    firsts = sum(pair.verdict is Verdict.FIRST for pair in found.pairs)
    # Four standard errors (20 each) of a fair coin: a chance of 6e-5, and the hash is fixed.
    assert abs(firsts - 804) < 80
    records = pair_records(found, file_id(path))
    assert len(records.judgements) == len({judgement.uid for judgement in records.judgements}) == 1608
    assert len(records.raters) == 1


def test_hh_texts_are_the_ends_of_their_transcripts(data):
    path = data / "hh_harmless_test" / "split_dev.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    for pair in read(path).pairs:
        sides = [pair.first, pair.second]
        chosen, rejected = sides if pair.verdict is Verdict.FIRST else reversed(sides)
        row = rows[pair.row - 1]
        assert row["chosen"].endswith(f"\n\nAssistant: {chosen}")
        assert row["rejected"].endswith(f"\n\nAssistant: {rejected}")


@pytest.mark.parametrize(
    ("name", "rows", "pairs", "demonstrations", "lost"),
    [
        ("instruction-data.json", 1100, 0, 1100, {}),
        ("instruction-data-with-preference.json", 1100, 1094, 0, {}),
        ("instruction-data-with-response.json", 110, 0, 110, {"model_response": 110}),
        ("eval-example-data.json", 100, 0, 100, {"model 1 response": 100, "model 2 response": 100}),
    ],
)
def test_rasbt(data, name, rows, pairs, demonstrations, lost):
    found = read(data / "rasbt_pref" / name)
    assert found.shape == "alpaca"
    assert (found.rows, len(found.pairs), len(found.demonstrations)) == (rows, pairs, demonstrations)
    assert found.lost == lost
    assert [refusal.reason for refusal in found.refused] == ["the two completions are the same"] * (6 if pairs else 0)


def test_torchtune(data):
    folder = data / "torchtune_tiny"
    chat = read(folder / "chat_tiny.json")
    assert chat.shape == "messages"
    assert chat.demonstrations[0].completion == "I agree."
    assert [turn.role for turn in chat.demonstrations[0].prompt.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    pairs = read(folder / "hh_rlhf_tiny.json")
    assert (pairs.shape, len(pairs.pairs)) == ("preference", 1)
    assert {pairs.pairs[0].first, pairs.pairs[0].second} == {"Fix the hole.", "Take them off."}
    instruct = read(folder / "instruct_tiny.json")
    assert (instruct.shape, len(instruct.demonstrations)) == ("alpaca", 2)


def test_arguments_by_map(data):
    columns = {"prompt": "topic", "first": "a1", "second": "a2", "verdict": "label"}
    found = read(data / "ukpconvarg" / "split_dev_strict_pairs.jsonl", columns=columns)
    assert (found.rows, len(found.pairs), found.refused) == (8614, 8614, [])
    assert found.lost == {"id": 8614}


def test_prompts_and_tables(data):
    assert len(read(data / "redteam_prompts" / "malicious_instruct.txt").prompts) == 100
    assert len(read(data / "xstest" / "xstest_prompts.csv").prompts) == 450
    table = data / "redteam_prompts" / "harmbench_behaviors_text_val.csv"
    columns = {"prompt": "Behavior", "kind": "SemanticCategory"}
    assert len(read(table, columns=columns).prompts) == 80


@pytest.mark.parametrize("name", ["en_100_tree.jsonl", "en_100_message.jsonl"])
def test_oasst(data, name):
    found = read(data / "oasst_sample" / name)
    assert (found.shape, found.rows, len(found.pairs), found.refused) == ("oasst", 100, 754, [])
    # 254 messages by people have a reply; those to two of them have no rank and are more than one.
    assert len(found.demonstrations) == 252
    assert found.lost == {"messages[].lang": 100, "messages[].emojis": 92, "replies without a rank": 1}
    records = pair_records(found, file_id(data / "oasst_sample" / name))
    assert len({judgement.uid for judgement in records.judgements}) == 754


def test_hh_there_and_back(data, tmp_path):
    found = read(data / "hh_harmless_test" / "split_dev.jsonl")
    sides = [
        (p.prompt, *((p.first, p.second) if p.verdict is Verdict.FIRST else (p.second, p.first))) for p in found.pairs
    ]
    preferences = [
        Preference(comparison="", prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=1.0)
        for prompt, chosen, rejected in sides
    ]
    for name in ("trl", "openrlhf", "nemo-rl", "llama-factory"):
        written = write_preferences(tmp_path / f"{name}.jsonl", TARGETS[name], preferences)
        back = read(written.path)
        told = [
            (p.prompt, *((p.first, p.second) if p.verdict is Verdict.FIRST else (p.second, p.first)))
            for p in back.pairs
        ]
        assert (written.rows + sum(written.left_out.values()), back.refused) == (len(sides), [])
        assert told == [side for side in sides if name != "llama-factory" or alternates(side[0])]


def alternates(prompt):
    return all(turn.role == ("user", "assistant")[i % 2] for i, turn in enumerate(prompt.messages))
