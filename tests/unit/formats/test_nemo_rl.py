"""Ranks as the DPO guide of NVIDIA-NeMo/RL shows them."""

import pytest

from palate.core.records import Verdict


def done(rank, text):
    return {"rank": rank, "completion": [{"role": "assistant", "content": text}]}


def row(*completions):
    return {"context": [{"role": "user", "content": "q"}], "completions": list(completions), "task_name": "t"}


def test_the_lowest_rank_is_the_best(take):
    found = take(row(done(1, "bad"), done(0, "good")))
    (pair,) = found.pairs
    assert found.shape == "nemo-rl"
    assert (pair.first if pair.verdict is Verdict.FIRST else pair.second) == "good"
    assert found.lost == {}


def test_three_ranks_are_three_pairs_and_equal_ones_a_tie(take):
    verdicts = [pair.verdict for pair in take(row(done(0, "a"), done(1, "b"), done(1, "c"))).pairs]
    assert len(verdicts) == 3
    assert verdicts.count(Verdict.TIE) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(done(0, "a")), "completions is not a list of at least two"),
        (row(done(0, "a"), done(None, "b")), "completions[1] has no rank; found `None`"),
        (row(done(0, "a"), done(True, "b")), "completions[1] has no rank"),
        (row(done(0, "a"), done(1, "a")), "the two completions are the same"),
        (row(done(0, "a"), "b"), "completions[1] is not an object"),
        (row(done(0, "a"), {"rank": 1, "completion": [{"role": "user", "content": "b"}]}), "completions[1] is not one"),
        ({**row(done(0, "a"), done(1, "b")), "context": []}, "context is not a list of messages"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(take, bad, reason):
    good = row(done(0, "a"), done(1, "b"))
    found = take(good, good, bad)
    assert found.refused[0].reason.startswith(reason)
