"""What rows, judgements, raters and groups did to a reward model's head: the arithmetic of `influence`, on features.

Shapes: `N` rows that were learned from, `H` held-out rows, `A` pairs of answers that somebody asked about, `M` changes,
`D` features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import DataError
from palate.functional import influence
from palate.functional.calibration import fit_temperature
from palate.functional.influence import Head, Rows

PRICE: Final = 1.0
"""On squared weights of the head, in nats, with features scaled so that the mean squared length of a row's is 1."""
_PART: Final = 2048
"""Changes that are looked at together."""


class Lens(NamedTuple):
    """A head fitted to all rows, and what its changes are measured on."""

    head: Head
    rows: Rows
    outside: Rows
    """Held-out rows, their features divided by the temperature."""
    temperature: float | None
    """At which the head's margins are the most honest on held-out rows; None where none is (and 1 is taken)."""
    spread_DD: Float[Tensor, "D D"]
    """Mean of x xᵀ over held-out rows, at no temperature."""
    answer_D: Float[Tensor, " D"]
    """Mean features of the pairs that somebody asked about; 0 where nobody did."""


class Change(NamedTuple):
    """What becomes of some rows, all at once."""

    places: list[int]
    """Of the rows."""
    p: list[float]
    """Their labels afterwards."""
    a: list[float]
    """Their weights afterwards; 0 takes a row out."""


class Effects(NamedTuple):
    """What the present state, against the changed one, did. A number for each change."""

    loss_M: Float[Tensor, " M"]
    """To the loss on held-out rows, nats a row: above 0 it did harm."""
    moved_M: Float[Tensor, " M"]
    """To held-out margins: their root mean squared change, in nats."""
    answer_M: Float[Tensor, " M"]
    """To the mean margin of the pairs that somebody asked about, in nats."""
    surprise_M: Float[Tensor, " M"]
    """Loss of the label under the head that was not told it, in nats; NaN for changes of several rows."""


def look(rows: Rows, outside: Rows, answers_AD: Float[Tensor, "A D"] | None = None, *, price: float = PRICE) -> Lens:
    """Fit the head anew on a reward model's last features, so that it stands exactly at its optimum.

    Held-out losses are taken at the temperature that suits the head best there. A reward's scale means nothing, and a
    head on features that were learned from the same rows is too sure of itself: without the temperature whatever
    makes it less sure would seem to help.

    Args:
        rows: What was learned from: features of chosen less rejected, labels, weights.
        outside: The same of held-out rows.
        answers_AD: Features of pairs that somebody asks about.
        price: See `PRICE`.

    Raises:
        DataError: there is nothing to learn from, or nothing held out.
    """
    if not len(rows.p_N) or not len(outside.p_N):
        raise DataError(
            "influence needs rows that were learned from and rows that were held out",
            expected="a dataset with both splits",
            found=f"{len(rows.p_N)} and {len(outside.p_N)} rows",
            hint="build the dataset with a --heldout-fraction above 0",
        )
    scale = float(rows.x_ND.double().square().sum(-1).mean().sqrt()) or 1.0
    rows, outside = (Rows(some.x_ND.double() / scale, some.p_N.double(), some.a_N.double()) for some in (rows, outside))
    answer_D = rows.x_ND.new_zeros(rows.x_ND.shape[1])
    if answers_AD is not None and len(answers_AD):
        answer_D = answers_AD.double().mean(0) / scale
    spread_DD = outside.x_ND.T @ outside.x_ND / len(outside.p_N)
    head = influence.fit_head(rows, price=price)
    temperature = _temperature(outside.x_ND @ head.weights_D, outside)
    outside = outside._replace(x_ND=outside.x_ND / (temperature or 1.0))
    return Lens(head, rows, outside, temperature, spread_DD, answer_D)


def _temperature(margins_N: Tensor, outside: Rows) -> float | None:
    try:
        return fit_temperature(margins_N, outside.p_N, outside.a_N)
    except DataError:  # right on every row, or no better than chance
        return None


def of_rows(lens: Lens) -> Effects:
    """What each row did, against a head that never saw it."""
    every = list(range(len(lens.rows.p_N)))
    p_N = lens.rows.p_N
    return of_changes(lens, [Change([place], [0.0], [0.0]) for place in every], said_M=p_N)


def of_changes(lens: Lens, changes: Sequence[Change], said_M: Float[Tensor, " M"] | None = None) -> Effects:
    """What each change, made alone, undoes.

    Args:
        lens: What `look` gave.
        changes: Of one row each, or of several.
        said_M: Of changes of one row each: what the label said that is taken away, for `surprise_M`.
    """
    parts = [_effects(lens, changes[at : at + _PART], None if said_M is None else said_M[at : at + _PART])
             for at in range(0, len(changes), _PART)]  # fmt: skip
    if not parts:
        none = lens.rows.p_N.new_zeros(0)
        return Effects(none, none, none, none)
    return Effects(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _effects(lens: Lens, changes: Sequence[Change], said_M: Tensor | None) -> Effects:
    moves_MD = _moves(lens, changes)
    moved_M = (moves_MD @ lens.spread_DD * moves_MD).sum(-1).clamp(min=0).sqrt()
    surprise_M = torch.full_like(moved_M, torch.nan)
    if said_M is not None:
        places = torch.tensor([change.places[0] for change in changes])
        told = Rows(lens.rows.x_ND[places], said_M.double(), lens.rows.a_N[places])
        surprise_M = influence.surprises(lens.head, told, moves_MD)
    return Effects(
        -influence.loss_changes(lens.head, lens.outside, moves_MD), moved_M, -(moves_MD @ lens.answer_D), surprise_M
    )


def _moves(lens: Lens, changes: Sequence[Change]) -> Tensor:
    """How each change moves the weights; those of one row each go through together."""
    if all(len(change.places) == 1 for change in changes):
        some, p_M, a_M = _parts(lens, [place for change in changes for place in change.places], changes)
        return influence.moves(lens.head, some, p_M, a_M)
    return torch.stack(list(_together(lens, changes)))


def _together(lens: Lens, changes: Sequence[Change]) -> Iterator[Tensor]:
    for change in changes:
        yield influence.move_together(lens.head, *_parts(lens, change.places, [change]))


def _parts(lens: Lens, places: Sequence[int], changes: Sequence[Change]) -> tuple[Rows, Tensor, Tensor]:
    """The rows that change, and what they become."""
    at = torch.tensor(list(places), dtype=torch.long)
    now = (torch.tensor([x for c in changes for x in getattr(c, name)], dtype=torch.float64) for name in ("p", "a"))
    return (Rows(lens.rows.x_ND[at], lens.rows.p_N[at], lens.rows.a_N[at]), *now)  # type: ignore[return-value]
