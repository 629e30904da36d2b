"""Influence in closed form: the derivatives by hand, exact retraining, groups by two systems of equations."""

import math

import pytest
import torch

from palate.core.errors import ConfigError, DataError
from palate.functional import influence
from palate.functional.influence import Rows


def some_rows(count=80, features=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x_ND = torch.randn(count, features, generator=generator, dtype=torch.float64)
    p_N = (0.5 + 0.5 * torch.rand(count, generator=generator, dtype=torch.float64)).clamp(max=0.95)
    a_N = 0.5 + torch.rand(count, generator=generator, dtype=torch.float64)
    return Rows(x_ND, p_N, a_N)


def gone(rows):
    return rows.p_N, torch.zeros_like(rows.a_N)


def test_the_head_stands_where_the_gradient_of_the_objective_is_zero():
    rows = some_rows()
    head = influence.fit_head(rows, price=0.7)
    slope_D = rows.x_ND.T @ (rows.a_N * ((rows.x_ND @ head.weights_D).sigmoid() - rows.p_N)) + 0.7 * head.weights_D
    assert float(slope_D.abs().max()) < 1e-8


def test_one_feature_and_one_row_by_hand():
    """Price 1, x = 1, p = 1, a = 1: w = 1 - σ(w), and without the row w = 0."""
    rows = Rows(torch.ones(1, 1).double(), torch.ones(1).double(), torch.ones(1).double())
    head = influence.fit_head(rows, price=1.0)
    w = float(head.weights_D)
    sigma = 1 / (1 + math.exp(-w))
    assert w == pytest.approx(1 - sigma, abs=1e-9)
    hessian = 1 + sigma * (1 - sigma)
    assert float(head.inverse_DD) == pytest.approx(1 / hessian)
    # Leverage is σ(1-σ) / H, so that H⁻¹ v / (1 - leverage) is -w / 1: exactly the way back to 0.
    assert float(influence.moves(head, rows, *gone(rows))) == pytest.approx(-w, abs=1e-9)


def test_a_row_that_is_taken_out_alone_moves_the_head_nearly_as_training_again_does():
    rows = some_rows()
    head = influence.fit_head(rows, price=1.0)
    moves_ND = influence.moves(head, rows, *gone(rows))
    for row in range(0, 80, 9):
        a_N = rows.a_N.clone()
        a_N[row] = 0
        again = influence.fit_head(rows._replace(a_N=a_N), price=1.0).weights_D - head.weights_D
        assert float((moves_ND[row] - again).norm()) < 0.02 * float(again.norm())
        bare = head.inverse_DD @ rows.x_ND[row] * float(influence.pulls(head, rows, *gone(rows))[0][row])
        assert float((bare - again).norm()) > float((moves_ND[row] - again).norm())  # the leverage helps


def test_for_a_quadratic_loss_taking_rows_out_is_exact():
    """Near margins of 0 and with labels near ½ the loss is a parabola: what is left is of third order."""
    errors = []
    for size in (1e-2, 1e-3):
        rows = some_rows()
        rows = rows._replace(p_N=0.5 + size * (rows.p_N - 0.5))
        head = influence.fit_head(rows, price=1.0)
        out = torch.arange(12)
        moved_D = influence.move_together(head, Rows(*(column[out] for column in rows)), rows.p_N[out], torch.zeros(12))
        a_N = rows.a_N.clone()
        a_N[out] = 0
        again = influence.fit_head(rows._replace(a_N=a_N), price=1.0).weights_D - head.weights_D
        errors.append(float((moved_D - again).norm() / again.norm()))
    assert errors[0] < 1e-5
    assert errors[1] < 1e-7


@pytest.mark.parametrize("count", [3, 5, 12, 40])
def test_rows_that_change_together_move_the_head_as_the_changed_curvature_says(count):
    """Fewer rows than features, as many, and more: both systems of equations give the same Newton step."""
    rows = some_rows()
    head = influence.fit_head(rows, price=1.0)
    some = Rows(*(column[:count] for column in rows))
    now_p_K, now_a_K = 1 - some.p_N, some.a_N * torch.linspace(0, 2, count, dtype=torch.float64)
    pull_K, curvature_K = influence.pulls(head, some, now_p_K, now_a_K)
    hessian_DD = torch.linalg.inv(head.inverse_DD) - (some.x_ND * curvature_K[:, None]).T @ some.x_ND
    expected_D = torch.linalg.solve(hessian_DD, some.x_ND.T @ pull_K)
    assert torch.allclose(influence.move_together(head, some, now_p_K, now_a_K), expected_D, rtol=1e-8, atol=1e-10)


def test_groups_are_more_than_the_sum_of_their_rows():
    rows = some_rows(count=60)
    head = influence.fit_head(rows, price=0.1)
    out = torch.arange(30)
    half = Rows(*(column[out] for column in rows))
    a_N = rows.a_N.clone()
    a_N[out] = 0
    again_D = influence.fit_head(rows._replace(a_N=a_N), price=0.1).weights_D - head.weights_D
    together_D = influence.move_together(head, half, *gone(half))
    summed_D = influence.moves(head, half, *gone(half)).sum(0)
    assert float((together_D - again_D).norm()) < 0.5 * float((summed_D - again_D).norm())


def test_one_row_together_is_that_row_alone():
    rows = some_rows()
    head = influence.fit_head(rows, price=1.0)
    one = Rows(*(column[4:5] for column in rows))
    alone_D = influence.moves(head, one, *gone(one))[0]
    assert torch.allclose(influence.move_together(head, one, *gone(one)), alone_D, rtol=1e-10, atol=1e-12)


def test_a_label_that_changes_and_no_weight_moves_along_the_inverse_hessian():
    rows = some_rows()
    head = influence.fit_head(rows, price=1.0)
    now_p_N = rows.p_N - 0.2
    expected_ND = -0.2 * rows.a_N[:, None] * (rows.x_ND @ head.inverse_DD)
    assert torch.allclose(influence.moves(head, rows, now_p_N, rows.a_N), expected_ND, atol=1e-12)


def test_what_does_not_change_moves_nothing():
    rows = some_rows()
    head = influence.fit_head(rows, price=1.0)
    assert float(influence.moves(head, rows, rows.p_N, rows.a_N).abs().max()) == 0


def test_losses_on_other_rows_are_those_of_the_moved_head_in_parts_or_whole(monkeypatch):
    rows, outside = some_rows(), some_rows(count=33, seed=1)
    head = influence.fit_head(rows, price=1.0)
    moves_ND = influence.moves(head, rows, *gone(rows))

    def loss(weights_D):
        sigma_N = (outside.x_ND @ weights_D).sigmoid()
        losses_N = -(outside.p_N * sigma_N.log() + (1 - outside.p_N) * (1 - sigma_N).log())
        return float((outside.a_N * losses_N).sum() / outside.a_N.sum())

    found_N = influence.loss_changes(head, outside, moves_ND)
    for row in (0, 17, 79):
        assert float(found_N[row]) == pytest.approx(loss(head.weights_D + moves_ND[row]) - loss(head.weights_D))
    monkeypatch.setattr(influence, "_CELLS", 70)
    assert torch.allclose(influence.loss_changes(head, outside, moves_ND), found_N)


def test_a_wrong_label_harms_and_surprises_and_a_right_one_helps():
    rows = some_rows(count=200)
    truth_D = torch.tensor([2.0, -1, 0, 0, 1]).double()
    right_N = (rows.x_ND @ truth_D > 0).double()
    planted = torch.arange(0, 200, 20)
    told_N = right_N.clone()
    told_N[planted] = 1 - told_N[planted]
    outside = some_rows(count=400, seed=3)
    outside = outside._replace(p_N=(outside.x_ND @ truth_D > 0).double())
    rows = rows._replace(p_N=told_N)
    head = influence.fit_head(rows, price=1.0)
    moves_ND = influence.moves(head, rows, *gone(rows))
    harm_N = -influence.loss_changes(head, outside, moves_ND)
    clean_N = torch.ones(200, dtype=torch.bool)
    clean_N[planted] = False
    assert float(harm_N[planted].mean()) > 0 > float(harm_N[clean_N].mean())
    surprise_N = influence.surprises(head, rows, moves_ND)
    assert float(surprise_N[planted].min()) > float(surprise_N[clean_N].median())


def test_nonsense_is_refused():
    rows = some_rows()
    with pytest.raises(ConfigError, match="price"):
        influence.fit_head(rows, price=0)
    with pytest.raises(DataError, match="differ in number"):
        influence.fit_head(rows._replace(x_ND=rows.x_ND[:-1]), price=1.0)
    with pytest.raises(DataError, match="weight"):
        influence.fit_head(rows._replace(a_N=-rows.a_N), price=1.0)
