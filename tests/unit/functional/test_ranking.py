"""Pairs of a ranking."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.functional.pairwise import bradley_terry_loss
from palate.functional.ranking import ranked_pairs


def test_hand_case():
    # prompt 7: completions 0, 2, 3 ranked 1, 2, 2; prompt 4: completions 1 and 4, the later one better
    found = ranked_pairs(tensor([1, 2, 2, 2, 1]), tensor([7, 4, 7, 7, 4]))
    assert found.first_N.tolist() == [0, 0, 1, 2]
    assert found.second_N.tolist() == [2, 3, 4, 3]
    assert found.p_first_N.tolist() == [1.0, 1.0, 0.0, 0.5]
    assert_close(found.weights_N, tensor([1 / 3, 1 / 3, 1.0, 1 / 3]))
    assert found.prompts == 2


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=9))
@settings(max_examples=60)
def test_slow_reference(rows):
    ranks, prompts = (tensor(column) for column in zip(*rows, strict=True))
    if any(prompts.tolist().count(p) < 2 for p in prompts.tolist()):
        with pytest.raises(DataError, match="nothing to be compared with"):
            ranked_pairs(ranks, prompts)
        return
    found = ranked_pairs(ranks, prompts)
    expected = {
        (i, j): 1.0 if rows[i][0] < rows[j][0] else 0.0 if rows[i][0] > rows[j][0] else 0.5
        for i, j in combinations(range(len(rows)), 2)
        if rows[i][1] == rows[j][1]
    }
    pairs = zip(found.first_N.tolist(), found.second_N.tolist(), found.p_first_N.tolist(), strict=True)
    assert {(i, j): p for i, j, p in pairs} == expected
    for prompt in set(prompts.tolist()):
        assert_close(found.weights_N[prompts[found.first_N] == prompt].sum(), tensor(1.0))


def test_the_loss_is_the_mean_over_prompts_and_adds_up_over_them():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(9, generator=generator, requires_grad=True)
    prompts, ranks = tensor([0, 0, 0, 0, 1, 1, 2, 2, 2]), tensor([1, 2, 3, 4, 2, 1, 1, 1, 2])

    def loss(rows, prompts_in_all: int) -> torch.Tensor:
        pairs = ranked_pairs(ranks[rows], prompts[rows])
        margins = scores[rows][pairs.first_N] - scores[rows][pairs.second_N]
        return bradley_terry_loss(margins, pairs.p_first_N, pairs.weights_N, denominator=prompts_in_all)

    whole = loss(torch.arange(9), 3)
    parts = [torch.arange(4), torch.arange(4, 9)]
    assert_close(sum(loss(part, 3) for part in parts), whole)
    # one prompt, one vote: each alone weighs a third, whatever its number of pairs
    alone = [loss((prompts == p).nonzero().flatten(), 1) for p in range(3)]
    assert_close(whole, sum(alone) / 3)
    shuffled = torch.randperm(9, generator=generator)
    assert_close(loss(shuffled, 3), whole)


def test_wrong_use():
    with pytest.raises(DataError, match="do not fit together"):
        ranked_pairs(tensor([1, 2, 3]), tensor([0, 0]))
    with pytest.raises(DataError, match=r"nothing to be compared with\n  where: completion 2"):
        ranked_pairs(tensor([1, 2, 1]), tensor([0, 0, 5]))
