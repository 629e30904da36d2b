"""Rows as OpenAI's guide to preference fine-tuning shows them."""

import pytest

from palate.core.records import Verdict


def row(preferred="warm", other="cold", **asked):
    return {
        "input": {"messages": [{"role": "user", "content": "q"}], "tools": [], "parallel_tool_calls": True, **asked},
        "preferred_output": [{"role": "assistant", "content": preferred}],
        "non_preferred_output": [{"role": "assistant", "content": other}],
    }


def test_a_row_is_a_pair(take):
    found = take(row())
    (pair,) = found.pairs
    assert found.shape == "openai"
    assert (pair.first if pair.verdict is Verdict.FIRST else pair.second) == "warm"
    assert pair.prompt.text == "q"
    assert found.lost == {}


def test_tools_are_counted_as_lost(take):
    assert take(row(tools=[{"type": "function"}])).lost == {"input.tools": 1}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**row(), "input": "q"}, "input is not an object with messages; found `q`"),
        ({**row(), "input": {}}, "input.messages is not a list of messages"),
        ({**row(), "preferred_output": None}, "preferred_output is not a list of messages"),
        ({**row(), "preferred_output": [{"role": "tool", "content": "4"}]}, "preferred_output[0] has a role"),
        (row(other=" warm "), "the two completions are the same"),
        (row(other=""), "the non_preferred_output completion is empty"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    found = take(row(), row(), bad)
    assert found.refused[0].reason.startswith(reason)
