import pytest


def turn(role, content):
    return {"role": role, "content": content}


def share(who, value):
    return {"from": who, "value": value}


ROWS = {
    "messages": {"messages": [turn("user", "q"), turn("assistant", "a")]},
    "prompt and completion": {"prompt": "q", "completion": "a"},
    "prompt and completion as messages": {
        "prompt": [turn("user", "q")],
        "completion": [turn("assistant", "a")],
    },
    "sharegpt": {"conversations": [share("human", "q"), share("gpt", "a")]},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_every_way_to_write_the_same_demonstration(take, row):
    found = take(row)
    assert found.shape == "messages"
    (shown,) = found.demonstrations
    assert shown.prompt.as_dicts() == [turn("user", "q")]
    assert shown.completion == "a"
    assert found.lost == {}
    assert found.pairs == []


def test_the_last_answer_is_the_completion_and_all_before_it_the_prompt(take):
    turns = [turn("system", "s"), turn("user", "q"), turn("assistant", "a"), turn("user", "r")]
    (shown,) = take({"messages": [*turns, turn("assistant", "b")]}).demonstrations
    assert shown.prompt.as_dicts() == turns
    assert shown.completion == "b"


def test_what_stands_after_the_last_answer_is_counted(take):
    found = take({"messages": [turn("user", "q"), turn("assistant", "a"), turn("user", "thanks")]})
    assert found.demonstrations[0].completion == "a"
    assert found.lost == {"messages after the last answer": 1}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"messages": [turn("user", "q")]}, "the conversation has no turn by the assistant"),
        ({"messages": [turn("user", "q"), turn("assistant", " ")]}, "the completion is empty"),
        ({"messages": [turn("assistant", "a")]}, "the row has no prompt: nothing stands before the answer"),
        ({"messages": []}, "messages is not a list of messages; found `[]`"),
        ({"conversations": [share("function", "q")]}, "conversations[0] has a role that cannot be carried"),
        ({"prompt": "q", "completion": "a", "label": False}, "the completion is labelled as bad"),
        (
            {"messages": [turn("user", "q"), turn("assistant", None)]},
            "messages[1] is not a text; found nothing",
        ),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    good = ROWS["messages"]
    found = take(good, good, bad)
    assert found.refused[0].reason.startswith(reason)
    assert len(found.demonstrations) == 2


def test_thumbs_down_alone_is_an_approval_and_no_demonstration(take):
    found = take({"prompt": "q", "completion": "a", "label": False})
    assert found.demonstrations == []
    assert [(a.completion, a.p_good) for a in found.approvals] == [("a", 0.0)]
