"""What rows did to a head: signs, scale, temperature, and that rows taken one by one are rows taken together."""

import pytest
import torch

from palate.core.errors import DataError
from palate.functional.influence import Rows
from palate.rounds import effects
from palate.rounds.effects import Change

TRUTH_D = torch.tensor([1.5, -1.0, 0.5, 0.0]).double()


def rows(count, seed, noise=True):
    generator = torch.Generator().manual_seed(seed)
    x_ND = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    p_N = (x_ND @ TRUTH_D).sigmoid()
    said_N = torch.rand(count, generator=generator, dtype=torch.float64) < p_N if noise else p_N > 0.5
    return Rows(torch.where(said_N[:, None], x_ND, -x_ND), torch.ones(count).double(), torch.ones(count).double())


def test_one_row_at_a_time_and_all_of_a_group_say_the_same_of_a_group_of_one():
    lens = effects.look(rows(100, 0), rows(200, 1), rows(1, 2).x_ND)
    every = effects.of_rows(lens)
    mixed = effects.of_changes(lens, [Change([7], [0.0], [0.0]), Change([1, 2], [1.0, 1.0], [1.0, 1.0])])
    for one, other in zip(every[:3], mixed[:3], strict=True):
        assert float(other[0]) == pytest.approx(float(one[7]), rel=1e-8)
        assert float(other[1]) == pytest.approx(0, abs=1e-12)  # nothing changes


def test_parts_change_nothing(monkeypatch):
    lens = effects.look(rows(50, 0), rows(80, 1))
    whole = effects.of_rows(lens)
    monkeypatch.setattr(effects, "_PART", 7)
    for one, other in zip(whole, effects.of_rows(lens), strict=True):
        assert torch.allclose(one, other)


def test_features_in_another_unit_say_the_same():
    train, held = rows(100, 0), rows(200, 1)
    plain = effects.of_rows(effects.look(train, held))
    scaled = effects.look(train._replace(x_ND=40 * train.x_ND), held._replace(x_ND=40 * held.x_ND))
    for one, other in zip(plain, effects.of_rows(scaled), strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-12)


def test_what_only_makes_the_head_more_sure_neither_helps_nor_harms_at_its_best_temperature():
    """All rows count for a little more: the price falls, and the weights grow nearly in their own direction."""
    train = rows(2000, 0)
    lens = effects.look(train, rows(4000, 1))
    assert lens.temperature == pytest.approx(1, abs=0.15)
    grown_D = 0.01 * lens.head.weights_D
    change = float(effects.influence.loss_changes(lens.head, lens.outside, grown_D[None])[0])
    turned_D = 0.01 * lens.head.weights_D.roll(1)
    assert abs(change) < 0.1 * abs(float(effects.influence.loss_changes(lens.head, lens.outside, turned_D[None])[0]))


def test_a_reward_that_is_right_on_every_held_out_row_has_no_best_temperature():
    lens = effects.look(rows(300, 0, noise=False), rows(5, 3, noise=False))
    assert lens.temperature is None


def test_an_answer_moves_up_with_the_rows_that_say_so():
    train, held = rows(100, 0), rows(100, 1)
    lens = effects.look(train, held, train.x_ND[:1])
    told = effects.of_rows(lens)
    assert float(told.answer_M[0]) > 0  # the row is the answer: having it widened its margin
    assert float(told.moved_M[0]) > 0


def test_nothing_held_out_is_an_error_and_no_changes_are_none():
    with pytest.raises(DataError, match="held out"):
        effects.look(rows(10, 0), Rows(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0)))
    lens = effects.look(rows(10, 0), rows(10, 1))
    assert [len(column) for column in effects.of_changes(lens, [])] == [0, 0, 0, 0]
