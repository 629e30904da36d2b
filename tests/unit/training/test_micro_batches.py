"""Which rows go through a model together: each once, never more than allowed, those of one prompt side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.training.micro_batches import micro_batches
from palate.training.settings import TuningConfig

A, B, C = [1, 2, 3], [4], [5, 6]


def test_rows_of_one_prompt_stay_together():
    found = micro_batches(TuningConfig(), [A, B, A, C, B, A], [5, 3, 9, 4, 8, 6], rows=3)
    assert found == [[3, 1, 4], [0, 5, 2]]


def test_more_rows_of_one_prompt_than_fit_are_parted_by_length():
    assert micro_batches(TuningConfig(), [A] * 5, [9, 5, 8, 6, 7], rows=2) == [[1, 3], [4, 2], [0]]


def test_tokens_are_counted_with_each_prompt_once():
    config = TuningConfig(micro_tokens=10)
    # 3 + 2 + 3 tokens of A; one of B more would be 8 + 3
    assert micro_batches(config, [A, A, B], [5, 6, 7], rows=9) == [[0, 1], [2]]
    assert micro_batches(TuningConfig(micro_tokens=15), [A, A, B], [5, 6, 7], rows=9) == [[0, 1, 2]]
    assert micro_batches(TuningConfig(micro_tokens=15), [A, A, B], [5, 6, 7], rows=9, sides=2) == [[0, 1], [2]]
    assert micro_batches(TuningConfig(micro_tokens=1), [A, B], [5, 6], rows=9) == [[0], [1]], "a row is never cut"


def test_other_layouts_sort_by_length_alone():
    assert micro_batches(TuningConfig(layout="right"), [A, B, A, B], [4, 3, 9, 5], rows=2) == [[1, 0], [3, 2]]


@given(
    rows=st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(1, 20)), min_size=1, max_size=40),
    most=st.integers(1, 9),
    tokens=st.integers(0, 60),
    layout=st.sampled_from(["shared", "right", "packed"]),
)
def test_every_row_once_and_never_too_many(rows, most, tokens, layout):
    config = TuningConfig(layout=layout, micro_tokens=tokens)
    lengths = [len(prompt) + extra for prompt, extra in rows]
    found = micro_batches(config, [prompt for prompt, _ in rows], lengths, rows=most)
    assert sorted(row for part in found for row in part) == list(range(len(rows)))
    assert all(1 <= len(part) <= most for part in found)


def test_a_negative_budget_is_refused():
    with pytest.raises(Exception, match="micro-tokens"):
        TuningConfig(micro_tokens=-1)
