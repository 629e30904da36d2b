import json

import pytest

from palate.core.records import Message, Verdict
from palate.formats import read


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


def chosen_of(pair):
    return pair.first if pair.verdict is Verdict.FIRST else pair.second


ROWS = {
    "explicit, texts": {"prompt": "q", "chosen": "yes", "rejected": "no"},
    "explicit, messages": {"prompt": [user("q")], "chosen": [bot("yes")], "rejected": [bot("no")]},
    "explicit, text and messages": {"prompt": "q", "chosen": [bot("yes")], "rejected": [bot("no")]},
    "explicit, repeated by the sides": {
        "prompt": "q",
        "chosen": [user("q"), bot("yes")],
        "rejected": [user("q"), bot("no")],
        "messages": [user("q"), bot("yes")],
    },
    "implicit": {"chosen": [user("q"), bot("yes")], "rejected": [user("q"), bot("no")]},
    "implicit, with the chosen side once more": {
        "chosen": [user("q"), bot("yes")],
        "rejected": [user("q"), bot("no")],
        "messages": [user("q"), bot("yes")],
    },
    "sharegpt ranking": {
        "conversations": [{"from": "human", "value": "q"}],
        "chosen": {"from": "gpt", "value": "yes"},
        "rejected": {"from": "gpt", "value": "no"},
    },
    "transcript as prompt": {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "yes", "rejected": "no"},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_every_way_to_write_the_same_pair_gives_the_same_pair(take, row):
    found = take(row)
    assert found.shape == "preference"
    (pair,) = found.pairs
    assert pair.prompt.messages == (Message("user", "q"),)
    assert {pair.first, pair.second} == {"yes", "no"}
    assert chosen_of(pair) == "yes"
    assert found.lost == {}


def test_a_system_message_in_the_sides_belongs_to_the_prompt(take):
    system = {"role": "system", "content": "be kind"}
    sides = {name: [system, user("q"), bot(name)] for name in ("chosen", "rejected")}
    (pair,) = take({"prompt": "q", **sides}).pairs
    assert [turn.role for turn in pair.prompt.messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            {"prompt": "other", "chosen": [user("q"), bot("a")], "rejected": [user("q"), bot("b")]},
            "the prompt is not how the conversation in chosen begins",
        ),
        (
            {"chosen": [user("q"), bot("a"), user("r"), bot("b")], "rejected": [user("q"), bot("c")]},
            "the two conversations differ in their number of turns; found 4 and 2",
        ),
        (
            {"chosen": [bot("a")], "rejected": [bot("b")]},
            "the row has no prompt: nothing stands before the answer",
        ),
        ({"chosen": "a", "rejected": "b"}, "the row has no prompt"),
        (
            {"prompt": "q", "chosen": [user("x")], "rejected": "b"},
            "chosen does not end with a turn by the assistant; found a turn by the user",
        ),
        ({"prompt": "q", "chosen": ["a", "b"], "rejected": "b"}, "chosen[0] is not a message; found `a`"),
        (
            {"prompt": "q", "chosen": [{"role": "tool", "content": "4"}], "rejected": "b"},
            "chosen[0] has a role that cannot be carried; found `tool`",
        ),
        ({"prompt": "q", "chosen": None, "rejected": "b"}, "chosen is not a text; found nothing"),
        ({"prompt": "q", "chosen": "a\ud800", "rejected": "b"}, "chosen holds half of a surrogate pair"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(jsonl, bad, reason):
    good = ROWS["explicit, texts"]
    found = read(jsonl(good, good, json.dumps(bad)))
    (refusal,) = found.refused
    assert refusal.reason.startswith(reason)
    refusal.excerpt.encode("utf-8")


def test_columns_and_keys_that_are_not_carried_are_counted(take):
    first = {**ROWS["implicit"], "score_chosen": 8.5, "margin": None}
    second = {**ROWS["implicit"], "score_chosen": 8.0}
    second["chosen"] = [user("q"), {**bot("yes"), "weight": 1}]
    assert take(first, second).lost == {"score_chosen": 2, "chosen[].weight": 1}


def test_content_in_parts_is_put_together(take):
    parts = [{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}]
    found = take({"prompt": "q", "chosen": [{"role": "assistant", "content": parts}], "rejected": "no"})
    assert chosen_of(found.pairs[0]) == "yes"


def test_pictures_are_refused(take):
    parts = [{"type": "image", "url": "x"}]
    bad = {"prompt": [{"role": "user", "content": parts}], "chosen": "a", "rejected": "b"}
    found = take(ROWS["explicit, texts"], bad)
    assert found.refused[0].reason == "prompt[0] holds something other than text"


def test_the_label_of_a_row_is_the_kind_of_its_prompt(take):
    found = take({**ROWS["explicit, texts"], "kind": "career"})
    assert found.pairs[0].prompt.kind == "career"
    assert found.lost == {}
