"""Trees as the card of OpenAssistant/oasst1 describes them: three ways to write one tree."""

import pytest

from palate.core.errors import DataError
from palate.core.records import Verdict


def message(name, text, role, *replies, **more):
    return {"message_id": name, "text": text, "role": role, "lang": "en", "replies": list(replies), **more}


def tree(**third):
    return message(
        "1",
        "q",
        "prompter",
        message("2", "best", "assistant", message("5", "and?", "prompter", message("6", "so", "assistant")), rank=0),
        message("3", "worse", "assistant", rank=1, synthetic=True, model_name="m"),
        message("4", "worst", "assistant", **third),
        parent_id=None,
    )


def flat(node, parent=None):
    own = {name: cell for name, cell in node.items() if name != "replies"}
    rows = [{**own, "parent_id": parent, "message_tree_id": "1", "tree_state": "ready_for_export"}]
    return rows + [row for reply in node["replies"] for row in flat(reply, node["message_id"])]


def told(pair):
    better, worse = (pair.first, pair.second) if pair.verdict is Verdict.FIRST else (pair.second, pair.first)
    return pair.prompt.text, better, worse


WAYS = {
    "tree": lambda root: [{"message_tree_id": "1", "tree_state": "ready_for_export", "prompt": root}],
    "root": lambda root: [root],
    "flat": flat,
    "flat, children first": lambda root: flat(root)[::-1],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_ranked_replies_are_pairs_and_the_best_ones_demonstrations(take, way):
    found = take(*way(tree(rank=2)))
    assert found.shape == "oasst"
    assert sorted(told(pair) for pair in found.pairs) == [
        ("q", "best", "worse"),
        ("q", "best", "worst"),
        ("q", "worse", "worst"),
    ]
    assert [pair.part for pair in found.pairs] == [0, 1, 2]
    shown = [([turn.content for turn in d.prompt.messages], d.completion) for d in found.demonstrations]
    assert shown == [(["q"], "best"), (["q", "best", "and?"], "so")]
    assert found.refused == []


def test_the_model_that_wrote_a_reply_is_its_writer(take):
    pair = take(tree(rank=2)).pairs[0]
    assert dict(zip((pair.first, pair.second), pair.writers, strict=True)) == {"best": "", "worse": "m"}


def test_equal_ranks_are_a_tie_and_no_rank_is_no_pair(take):
    assert [p.verdict for p in take(tree(rank=1)).pairs].count(Verdict.TIE) == 1
    found = take(tree(rank=None))
    assert len(found.pairs) == 1
    assert found.lost == {"messages[].lang": 1, "replies without a rank": 1}


@pytest.mark.parametrize("out", [{"deleted": True}, {"review_result": False}])
def test_what_was_deleted_or_rejected_is_left_out_and_counted(take, out):
    found = take(tree(rank=2, **out))
    assert len(found.pairs) == 1
    assert found.lost["messages that were deleted or rejected in review"] == 1


def test_a_prompt_without_replies_is_a_prompt(take):
    found = take(message("1", "q", "prompter"))
    assert [prompt.text for prompt in found.prompts] == ["q"]


def test_flat_rows_lose_their_columns_one_by_one(take):
    assert take(*flat(tree(rank=2))).lost == {"lang": 6}


def test_a_message_without_its_parent_is_refused_and_so_is_a_ring(take):
    good = flat(tree(rank=2))
    lone = {**good[1], "message_id": "9", "parent_id": "absent"}
    ring = [{**good[1], "message_id": a, "parent_id": b} for a, b in (("x", "y"), ("y", "x"))]
    found = take(*good, lone, *ring)
    assert len(found.pairs) == 3
    assert [refusal.where for refusal in found.refused] == ["rows.jsonl:7", "rows.jsonl:8", "rows.jsonl:9"]
    assert "answers one that is not in the file" in found.refused[0].reason


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"message_tree_id": "1", "prompt": {"text": "q"}}, "the row has neither a tree nor a message"),
        (message("1", "q", "prompter", deleted=True), "the first message was deleted"),
        (message("1", "q", "prompter", "reply"), "replies is not a list of messages"),
        (message("1", "q", "prompter", message("2", "r", "prompter")), "two messages in a row are by the person"),
        (message("1", "a", "assistant"), "the prompt does not wait for the assistant"),
    ],
)
def test_a_bad_tree_is_refused_with_a_reason(take, bad, reason):
    found = take(tree(rank=2), tree(rank=2), bad)
    assert found.refused[0].reason.startswith(reason)


def test_a_tree_in_which_all_is_bad_refuses_the_file(take):
    with pytest.raises(DataError, match="every row of a file was refused"):
        take(message("1", "q", "prompter", deleted=True))
