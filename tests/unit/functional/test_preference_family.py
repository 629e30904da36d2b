"""What every loss over preference rows promises, whatever its formula: labels, weights, rows, micro-batches."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.dpo import anchored_dpo_loss, dpo_loss, hinge_loss, ipo_loss
from palate.functional.kto import kto_loss
from palate.functional.labels import denoised_labels, smoothed_labels
from palate.functional.pairwise import bradley_terry_loss
from palate.functional.reference_free import orpo_loss, simpo_loss
from palate.functional.reward_model import centring_loss, flip_aware_loss, margin_loss

ROWS = 7
LENGTHS = tensor([3, 1, 4, 1, 5, 9, 2]), tensor([2, 7, 1, 8, 2, 8, 1])
Rows = tuple[Tensor, ...]


def on_scores(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss on margins, as one on the two scores they are made of."""
    return lambda first, second, _rc, _rr, _n, p, w, d: loss(first - second, p, weights_N=w, denominator=d)


def with_reference(loss: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Tensor]:
    return lambda c, r, rc, rr, _n, p, w, d: loss(c, r, rc, rr, p_chosen_N=p, weights_N=w, denominator=d)[0]


def with_lengths(loss: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Tensor]:
    return lambda c, r, _rc, _rr, n, p, w, d: loss(c, r, *n, p_chosen_N=p, weights_N=w, denominator=d)[0]


LOSSES = {
    "bradley-terry": on_scores(bradley_terry_loss),
    "margin": on_scores(lambda m, p, **kw: margin_loss(m, p, 0.7, **kw)),
    "flip-aware": on_scores(partial(flip_aware_loss, flip_rate=0.15)),
    "dpo": with_reference(partial(dpo_loss, beta=0.3)),
    "ipo": with_reference(partial(ipo_loss, beta=0.3)),
    "hinge": with_reference(partial(hinge_loss, beta=0.3)),
    "anchored": lambda c, r, rc, rr, n, p, w, d: (
        anchored_dpo_loss(c, r, rc, rr, *n, beta=0.3, anchor=0.8, p_chosen_N=p, weights_N=w, denominator=d).loss
    ),
    "simpo": with_lengths(partial(simpo_loss, beta=2.0, required=0.4)),
    "orpo": with_lengths(partial(orpo_loss, odds_weight=0.5)),
}
FAMILY = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
UNPAIRED = {
    "kto": lambda c, r, rc, _rr, _n, p, w, d: (
        kto_loss(c, rc, p, beta=0.3, reference_point_nats=0.2, good_weight=1.2, weights_N=w, denominator=d).loss
    ),
    "centring": lambda c, r, _rc, _rr, _n, _p, w, d: centring_loss(c, r, w, denominator=d),
}
ALL = pytest.mark.parametrize("loss", [*LOSSES.values(), *UNPAIRED.values()], ids=[*LOSSES, *UNPAIRED])


def case(seed: int = 0) -> tuple[Rows, Tensor, Tensor]:
    """Policy chosen, policy rejected, reference chosen, reference rejected; labels; weights."""
    generator = torch.Generator().manual_seed(seed)
    scores = -10 * torch.rand(4, ROWS, generator=generator, dtype=torch.float64)
    labels, weights = torch.rand(2, ROWS, generator=generator, dtype=torch.float64)
    return tuple(scores), labels, weights + 0.1


def swapped(rows: Rows) -> Rows:
    return rows[1], rows[0], rows[3], rows[2]


@FAMILY
@given(st.integers(0, 2**16))
@settings(max_examples=15)
def test_a_soft_label_is_so_many_rows_of_either_order(loss, seed: int):
    rows, labels, weights = case(seed)
    ones, lengths = torch.ones_like(labels), LENGTHS
    found = loss(*rows, lengths, labels, weights, 1)
    first = loss(*rows, lengths, ones, weights * labels, 1)
    second = loss(*swapped(rows), lengths[::-1], ones, weights * (1 - labels), 1)
    assert_close(found, first + second)
    assert_close(found, loss(*swapped(rows), lengths[::-1], 1 - labels, weights, 1))
    zeros = loss(*rows, lengths, 0 * ones, weights, 1)
    assert_close(zeros, loss(*swapped(rows), lengths[::-1], ones, weights, 1))


@FAMILY
def test_noise_correction_gives_the_clean_loss_on_average(loss, request):
    """Over both outcomes of a flip, each as often as it happens, up to rounding: for every loss but the hinge."""
    rows, labels, weights = case()
    if "hinge" in request.node.name:
        with pytest.raises(DataError, match="not a probability"):
            loss(*rows, LENGTHS, denoised_labels(labels.round(), flip_rate=0.2), weights, None)
        return
    truth = labels.round()
    kept, flipped = (loss(*rows, LENGTHS, denoised_labels(p, flip_rate=0.2), weights, None) for p in (truth, 1 - truth))
    clean = loss(*rows, LENGTHS, truth, weights, None)
    assert_close(0.8 * kept + 0.2 * flipped, clean)
    naive = 0.8 * clean + 0.2 * loss(*rows, LENGTHS, 1 - truth, weights, None)
    assert_close(naive, loss(*rows, LENGTHS, smoothed_labels(truth, flip_rate=0.2), weights, None))
    assert abs(naive - clean) > 1e-3


@FAMILY
def test_a_tie_pulls_nowhere_from_equal_sides(loss, request):
    """Both sides the same: a label of ½ wants to stay."""
    rows, _, weights = case()
    sides = (rows[0].requires_grad_(), rows[0].detach().clone().requires_grad_())
    lengths = (LENGTHS[0], LENGTHS[0])
    value = loss(*sides, rows[2], rows[2], lengths, torch.full_like(weights, 0.5), weights, None)
    first, second = torch.autograd.grad(value, sides)
    if any(name in request.node.name for name in ("anchored", "orpo")):  # supervised terms want both likelier
        assert_close(first, second)
        assert (first < 0).all()
    else:
        assert first.abs().max() < 1e-12
        assert second.abs().max() < 1e-12


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("anchored", "simpo", "orpo")])
@given(st.integers(0, 2**16), st.floats(-5, 5))
@settings(max_examples=15)
def test_what_belongs_to_the_prompt_cancels(name: str, seed: int, shift: float):
    rows, labels, weights = case(seed)
    moved = (rows[0] + shift, rows[1] + shift, *rows[2:])
    assert_close(
        LOSSES[name](*moved, LENGTHS, labels, weights, None), LOSSES[name](*rows, LENGTHS, labels, weights, None)
    )


@FAMILY
def test_a_better_chosen_side_never_costs(loss, request):
    rows, _, weights = case()
    values = [
        loss(rows[0], rows[1] - step, *rows[2:], LENGTHS, torch.ones_like(weights), weights, None)
        for step in torch.linspace(0, 4, 9)
    ]
    if "ipo" in request.node.name:  # it has a target, and stops there
        return
    assert (torch.stack(values).diff() <= 0).all()
    assert values[-1] < values[0]


@ALL
def test_weights(loss):
    """Weights count rows: 2 is twice the row, and all by one factor is nothing in a mean."""
    rows, labels, weights = case()
    twice = torch.arange(ROWS).repeat(2)
    whole = loss(*rows, LENGTHS, labels, weights, None)
    doubled = loss(*(x[twice] for x in rows), [n[twice] for n in LENGTHS], labels[twice], weights[twice], 1)
    assert_close(loss(*rows, LENGTHS, labels, 2 * weights, 1), doubled)
    assert_close(loss(*rows, LENGTHS, labels, 3 * weights, None), whole)
    assert_close(loss(*rows, LENGTHS, labels, 3 * weights, 1), 3 * whole * weights.sum())
    assert_close(loss(*rows, LENGTHS, labels, None, None), loss(*rows, LENGTHS, labels, torch.ones_like(weights), ROWS))
    assert loss(*rows, LENGTHS, labels, 0 * weights, None).isnan()
    assert loss(*rows, LENGTHS, labels, 0 * weights, 5.0) == 0


@ALL
@given(st.integers(0, 2**16), st.lists(st.integers(1, ROWS - 1), max_size=4, unique=True))
@settings(max_examples=10)
def test_micro_batches_add_up(loss, seed: int, cuts: list[int]):
    rows, labels, weights = case(seed)
    rows[0].requires_grad_()
    whole = loss(*rows, LENGTHS, labels, weights, None)
    mass = weights.sum().item()
    bounds = [0, *sorted(cuts), ROWS]
    total = sum(
        loss(*(x[a:b] for x in rows), [n[a:b] for n in LENGTHS], labels[a:b], weights[a:b], mass)
        for a, b in pairwise(bounds)
    )
    assert_close(total, whole, atol=1e-12, rtol=1e-12)
    assert_close(*(torch.autograd.grad(x, rows[0])[0] for x in (total, whole)), atol=1e-12, rtol=1e-12)


@ALL
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e30])
def test_rows_of_weight_zero_reach_neither_value_nor_gradient(loss, garbage: float):
    rows, labels, weights = case()
    lengths = [n.double() for n in LENGTHS]
    expected = loss(*(x[:5] for x in rows), [n[:5] for n in lengths], labels[:5], weights[:5], None)
    dirty = [x.clone() for x in rows]
    for x in (*dirty, *lengths, labels):
        x[5:] = garbage
    weights[5:] = 0
    learning = [x.requires_grad_() for x in dirty[:2]]
    found = loss(*dirty, lengths, labels, weights, None)
    assert_close(found, expected)
    for gradient in torch.autograd.grad(found, learning, allow_unused=True):
        if gradient is not None:
            assert gradient.isfinite().all()
            assert (gradient[5:] == 0).all()


@ALL
def test_gradient(loss):
    rows, labels, weights = case(3)
    assert torch.autograd.gradcheck(
        lambda c, r: loss(c, r, *rows[2:], LENGTHS, labels, weights, None),
        (rows[0].requires_grad_(), rows[1].requires_grad_()),
    )


@ALL
def test_reference_and_weights_learn_nothing(loss, request):
    rows, labels, weights = case()
    frozen = (rows[2].requires_grad_(), rows[3].requires_grad_(), weights.requires_grad_())
    value = loss(rows[0].requires_grad_(), rows[1], *frozen[:2], LENGTHS, labels, frozen[2], None)
    assert all(g is None for g in torch.autograd.grad(value, frozen, allow_unused=True))


CHECKED = pytest.mark.parametrize("name", [*(n for n in LOSSES if n not in ("bradley-terry", "dpo")), *UNPAIRED])


@CHECKED
def test_rows_that_do_not_fit_together(name: str):
    loss = (LOSSES | UNPAIRED)[name]
    rows, labels, weights = case()
    with pytest.raises(DataError, match="`weights_N` does not have one number a row"):
        loss(*rows, LENGTHS, labels, weights[:3], None)
    with pytest.raises(DataError, match="negative or not finite"):
        loss(*rows, LENGTHS, labels, -weights, None)
    wide = [x[:, None] for x in rows]
    with pytest.raises(DataError, match=r"shape|row"):
        loss(*wide, [n[:, None] for n in LENGTHS], labels[:, None], weights[:, None], None)
    if name != "centring":
        with pytest.raises(DataError, match="does not have one number a row"):
            loss(*rows, LENGTHS, labels[:1], weights, None)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.inf, math.nan])
def test_a_beta_that_cannot_work(bad: float):
    rows, labels, _ = case()
    for function in (ipo_loss, hinge_loss):
        with pytest.raises(ConfigError, match="`beta` cannot work"):
            function(*rows, beta=bad)
    with pytest.raises(ConfigError, match="`beta` cannot work"):
        anchored_dpo_loss(*rows, *LENGTHS, beta=bad, anchor=1.0)
    with pytest.raises(ConfigError, match="`beta` cannot work"):
        simpo_loss(*rows[:2], *LENGTHS, beta=bad)
    with pytest.raises(ConfigError, match="`beta` cannot work"):
        kto_loss(rows[0], rows[2], labels, beta=bad, reference_point_nats=0.0)


def test_a_completion_without_tokens():
    rows, _, _ = case()
    none = torch.zeros(ROWS, dtype=torch.long)
    calls = (
        partial(anchored_dpo_loss, *rows, LENGTHS[0], none, beta=0.1, anchor=1.0),
        partial(simpo_loss, *rows[:2], none, LENGTHS[1], beta=2.0),
        partial(orpo_loss, *rows[:2], LENGTHS[0], none, odds_weight=0.1),
    )
    for call in calls:
        with pytest.raises(DataError, match="no token"):
            call()
