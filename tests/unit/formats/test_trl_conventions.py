"""Every dataset type in TRL's documentation is read as what it is."""

import pytest

from palate.core.errors import DataError
from palate.core.records import Verdict
from palate.formats import read

USER = [{"role": "user", "content": "What color is the sky?"}]


def bot(text):
    return [{"role": "assistant", "content": text}]


def counts(found):
    return len(found.pairs), len(found.demonstrations), len(found.prompts), len(found.texts)


DOCUMENTED = {
    "language modeling": ({"text": "The sky is blue."}, "text", (0, 0, 0, 1)),
    "language modeling, messages": ({"messages": USER + bot("blue")}, "messages", (0, 1, 0, 0)),
    "prompt-only": ({"prompt": "The sky is"}, "prompts", (0, 0, 1, 0)),
    "prompt-only, messages": ({"prompt": USER}, "prompts", (0, 0, 1, 0)),
    "prompt-completion": ({"prompt": "The sky is", "completion": " blue."}, "messages", (0, 1, 0, 0)),
    "prompt-completion, messages": ({"prompt": USER, "completion": bot("blue")}, "messages", (0, 1, 0, 0)),
    "preference": ({"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "preference", (1, 0, 0, 0)),
    "preference, implicit": (
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
        "implicit",
        (1, 0, 0, 0),
    ),
    "preference, messages": ({"prompt": USER, "chosen": bot("a"), "rejected": bot("b")}, "preference", (1, 0, 0, 0)),
    "preference, messages, implicit": (
        {"chosen": USER + bot("a"), "rejected": USER + bot("b")},
        "preference",
        (1, 0, 0, 0),
    ),
    "unpaired": ({"prompt": "The sky is", "completion": " blue.", "label": True}, "unpaired", (0, 1, 0, 0)),
    "unpaired, messages": ({"prompt": USER, "completion": bot("blue"), "label": True}, "unpaired", (0, 1, 0, 0)),
    "stepwise": ({"prompt": "q", "completions": ["one", "two"], "labels": [True, True]}, "stepwise", (0, 1, 0, 0)),
}


@pytest.mark.parametrize(("row", "shape", "expected"), DOCUMENTED.values(), ids=DOCUMENTED.keys())
def test_each_documented_type_is_read(take, row, shape, expected):
    found = take(row)
    assert (found.shape, counts(found)) == (shape, expected)


def test_the_implicit_and_the_explicit_prompt_are_the_same_pair(take):
    implicit = take(DOCUMENTED["preference, implicit"][0]).pairs[0]
    explicit = take(DOCUMENTED["preference"][0]).pairs[0]
    assert (implicit.prompt, implicit.first, implicit.verdict) == (explicit.prompt, explicit.first, explicit.verdict)


def test_an_implicit_prompt_ends_at_a_space_not_within_a_word(take):
    pair = take({"chosen": "The sky is blue.", "rejected": "The sky is black."}).pairs[0]
    assert pair.prompt.text == "The sky is"
    assert {pair.first, pair.second} == {" blue.", " black."}


def test_one_side_can_be_the_beginning_of_the_other(take):
    pair = take({"chosen": "The sky", "rejected": "The sky is"}).pairs[0]
    assert pair.prompt.text == "The"


@pytest.mark.parametrize("other", [{"question": "?"}, {"context": ["?"]}])
def test_sides_beside_another_text_are_not_taken_for_implicit(take, other):
    with pytest.raises(DataError, match="cannot be told"):
        take({"chosen": "I like it", "rejected": "I hate it", **other})


def test_figures_beside_an_implicit_prompt_are_counted(take):
    assert take({"chosen": "I like it", "rejected": "I hate it", "margin": 1.0}).lost == {"margin": 1}


def test_thumbs_of_one_prompt_are_pairs(take):
    rows = [
        {"prompt": "q", "completion": "good", "label": True},
        {"prompt": "r", "completion": "lone", "label": False},
        {"prompt": "q", "completion": "bad", "label": False},
        {"prompt": "q", "completion": "worse", "label": False},
    ]
    found = take(*rows)
    sides = [(p.first, p.second) if p.verdict is Verdict.FIRST else (p.second, p.first) for p in found.pairs]
    assert sides == [("good", "bad"), ("good", "worse")]
    assert [shown.completion for shown in found.demonstrations] == ["good"]
    # Each is an approval too: a bad one alone teaches KTO something.
    assert {(a.completion, a.p_good) for a in found.approvals} == {("good", 1), ("lone", 0), ("bad", 0), ("worse", 0)}
    assert found.refused == []
    assert found.lost == {}


def test_equal_thumbs_are_counted_and_unclear_ones_refused(take):
    rows = [
        {"prompt": "q", "completion": "same", "label": True},
        {"prompt": "q", "completion": "same ", "label": False},
        {"prompt": "q", "completion": "x", "label": "maybe"},
    ]
    found = take(*rows)
    assert found.pairs == []
    assert found.lost == {"pairs of empty or equal answers": 1}
    assert found.refused[0].reason == "the label is neither true nor false; found `maybe`"


def test_thumbs_in_a_table_are_words(tmp_path):
    path = tmp_path / "thumbs.csv"
    path.write_text("prompt,completion,label\nq,good,True\nq,bad,false\n", encoding="utf-8")
    assert len(read(path).pairs) == 1


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([True, False], "completions[1] is labelled as wrong, and Palate has no rewards for steps"),
        ([True], "completions and labels are not two lists of the same length"),
    ],
)
def test_steps_that_are_wrong_or_do_not_fit_are_refused(take, labels, reason):
    good = DOCUMENTED["stepwise"][0]
    found = take(good, good, {**good, "labels": labels})
    assert found.refused[0].reason == reason
    assert found.lost == {"labels of steps": 2}
    assert found.demonstrations[0].completion == "one\ntwo"


def test_tools_and_reasoning_are_counted_as_lost(take):
    turns = [{"role": "developer", "content": "Be friendly."}, *USER]
    turns += [{"role": "assistant", "thinking": "hm", "content": "blue"}]
    found = take({"messages": turns, "tools": [{"type": "function"}]})
    assert found.demonstrations[0].prompt.messages[0].role == "system"
    assert found.lost == {"tools": 1, "messages[].thinking": 1}


def test_an_empty_text_is_refused(take):
    assert take({"text": "a"}, {"text": " "}).refused[0].reason == "the text is empty"


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    ],
)
def test_a_system_prompt_beside_sharegpt_turns_belongs_to_the_prompt(take, row):
    more = {"rejected": {"from": "gpt", "value": "b"}} if "chosen" in row else {}
    found = take({**row, **more, "system": "be kind"})
    record = (*found.pairs, *found.demonstrations)[0]
    assert [turn.role for turn in record.prompt.messages] == ["system", "user"]
    assert found.lost == {}
