import json

import pytest

from palate.core.records import Message, Verdict
from palate.formats import read

PLAIN = {"instruction": "spell", "input": "freind", "output": "friend"}
JUDGED = {"instruction": "spell", "input": "", "output": "no", "chosen": "yes", "rejected": "no"}


def test_the_input_stands_below_the_instruction(take):
    found = take(PLAIN)
    assert found.shape == "alpaca"
    (shown,) = found.demonstrations
    assert shown.prompt.messages == (Message("user", "spell\n\nfreind"),)
    assert shown.completion == "friend"
    assert found.lost == {}


@pytest.mark.parametrize("blank", ["", None, "  "])
def test_no_input_leaves_no_trace(take, blank):
    (shown,) = take({**PLAIN, "input": blank}).demonstrations
    assert shown.prompt.text == "spell"


def test_response_and_context_are_other_names_for_output_and_input(take):
    found = take({"instruction": "i", "context": "c", "response": "r", "category": "qa"})
    assert found.demonstrations[0].prompt.text == "i\n\nc"
    assert found.demonstrations[0].completion == "r"
    assert found.lost == {"category": 1}


def test_system_and_history_go_before(take):
    (shown,) = take({**PLAIN, "system": "s", "history": [["q", "a"]]}).demonstrations
    assert [(turn.role, turn.content) for turn in shown.prompt.messages] == [
        ("system", "s"),
        ("user", "q"),
        ("assistant", "a"),
        ("user", "spell\n\nfreind"),
    ]


def test_a_list_knows_the_line_of_each_row(tmp_path):
    path = tmp_path / "alpaca.json"
    same = {**JUDGED, "chosen": "no"}
    path.write_text(json.dumps([JUDGED, same, JUDGED], indent=2), encoding="utf-8")
    found = read(path)
    # `[`, then seven lines a row: they begin at lines 2, 9 and 16.
    assert [pair.where for pair in found.pairs] == ["alpaca.json:2", "alpaca.json:16"]
    assert [pair.row for pair in found.pairs] == [1, 3]
    assert [(r.where, r.reason) for r in found.refused] == [("alpaca.json:9", "the two completions are the same")]


def test_a_preference_is_not_a_demonstration_of_what_was_rejected(take):
    found = take(JUDGED, {**JUDGED, "output": "something else"})
    assert found.demonstrations == []
    assert len(found.pairs) == 2
    assert found.lost == {"output": 1}
    pair = found.pairs[0]
    assert (pair.first if pair.verdict is Verdict.FIRST else pair.second) == "yes"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**PLAIN, "output": ""}, "the completion is empty"),
        ({**PLAIN, "instruction": " "}, "the instruction is empty"),
        ({**PLAIN, "history": "before"}, "history is not a list of questions and answers"),
        ({**JUDGED, "rejected": ""}, "the rejected completion is empty"),
        ({"instruction": "i", "chosen": "yes"}, "rejected is not a text; found nothing"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    found = take(PLAIN, PLAIN, bad)
    assert found.refused[0].reason.startswith(reason)
