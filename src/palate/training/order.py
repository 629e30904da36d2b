"""Which rows belong to a step: a function of the seed and the step alone, so that a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from palate.core.ids import derive_seed


class Order(NamedTuple):
    """Every row once an epoch, in a new order each time; the last batch of an epoch may be smaller."""

    groups: Sequence[Sequence[int]]
    """Rows that stay together: one each, or all of a prompt."""
    batch: int
    """Groups in a step."""
    epochs: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.groups) // self.batch)

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * self.per_epoch

    def rows(self, step: int) -> list[int]:
        """The rows of a step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        order = shuffled(len(self.groups), self.seed, epoch)
        chosen = order[place * self.batch : (place + 1) * self.batch]
        return [row for group in chosen for row in self.groups[group]]


def shuffled(count: int, seed: int, *names: str | int) -> list[int]:
    """0 … count - 1 in an order that the seed and the names give."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", *names))
    return torch.randperm(count, generator=generator).tolist()


def laps(count: int, start: int, wanted: int, seed: int) -> list[int]:
    """`wanted` numbers below `count`: each comes once before any comes again, in a new order each lap.

    Args:
        count: Of what there is.
        start: How many were taken before.
        wanted: How many to take.
        seed: Of the orders.
    """
    orders: dict[int, list[int]] = {}
    chosen = []
    for position in range(start, start + wanted):
        lap, place = divmod(position, count)
        if lap not in orders:
            generator = torch.Generator().manual_seed(derive_seed(seed, "prompts", lap))
            orders[lap] = torch.randperm(count, generator=generator).tolist()
        chosen.append(orders[lap][place])
    return chosen
