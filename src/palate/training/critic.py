"""Value estimators for PPO: a model of its own, or ridge regression on frozen hidden states.

Shapes: B sequences, T completion tokens, D features. A value belongs to the state *before* a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.functional.ppo import ValueLoss, value_loss
from palate.models import load, scoring
from palate.models.batch import Batch
from palate.training.run import optimizer_step


class RidgeCritic:
    """Linear values on hidden states of the frozen reference, re-fitted after every iteration.

    Nothing of it touches the policy. Older iterations are forgotten geometrically.

    Args:
        size: Features per state.
        penalty: Price of the squared weights, in states.
        forgetting: Weight of the past at each new iteration, in [0, 1).
    """

    def __init__(self, size: int, *, penalty: float = 1.0, forgetting: float = 0.8) -> None:
        self.penalty = penalty
        self.forgetting = forgetting
        self.gram = torch.zeros(size + 1, size + 1, dtype=torch.float64)
        self.moment = torch.zeros(size + 1, dtype=torch.float64)
        self.weights = torch.zeros(size + 1, dtype=torch.float64)

    def values(self, hidden_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """Values before each token; 0 until the first fit."""
        return (_with_one(hidden_BTD) @ self.weights).float()

    def fit(
        self,
        hidden_BTD: Float[Tensor, "B T D"],
        returns_BT: Float[Tensor, "B T"],
        mask_BT: Bool[Tensor, "B T"],
    ) -> None:
        """Take one iteration's states and returns into account."""
        states, returns = _with_one(hidden_BTD[mask_BT]), returns_BT[mask_BT].double()
        self.gram = self.forgetting * self.gram + states.T @ states
        self.moment = self.forgetting * self.moment + states.T @ returns
        ridge = self.penalty * torch.eye(len(self.gram), dtype=torch.float64)
        self.weights = torch.linalg.solve(self.gram + ridge, self.moment)


def _with_one(hidden: Tensor) -> Tensor:
    return torch.cat([hidden.double(), torch.ones(*hidden.shape[:-1], 1, dtype=torch.float64)], dim=-1)


class CriticStep(NamedTuple):
    """One optimiser step of a model critic."""

    loss: float
    clip_fraction: float


class ModelCritic:
    """A model of its own with a scalar head at every position.

    Args:
        folder: A reward model to start from, or a causal model, whose head then starts at zero.
        is_reward: Whether the folder holds a reward model with a classification head.
        learning_rate: Of its Adam.
        clip: Values move at most this far from the old ones, in reward units.
    """

    def __init__(self, folder: Path | str, *, is_reward: bool, learning_rate: float, clip: float) -> None:
        self.model = load.load_reward(folder).model if is_reward else load.load_scalar(folder)
        if not is_reward:
            torch.nn.init.zeros_(self.model.score.weight)
        self.clip = clip
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=learning_rate, betas=(0.9, 0.95))

    def values(self, batch: Batch) -> Float[Tensor, "B L-1"]:
        """Values before each token but the first."""
        return scoring.token_values(self.model, batch)[:, :-1]

    def step(self, batch: Batch, old_values: Tensor, returns: Tensor, mask: Tensor, *, max_norm: float) -> CriticStep:
        """One clipped step towards the returns."""
        result: ValueLoss = value_loss(self.values(batch), old_values, returns, mask, clip=self.clip)
        result.loss.backward()
        optimizer_step(self.optimizer, self.parameters, max_norm=max_norm)
        return CriticStep(result.loss.item(), float(result.clip_fraction))


def stack_rows(rows: Sequence[Tensor], width: int) -> Tensor:
    """Rows of different lengths, padded with zeros to (B, width, …)."""
    result = rows[0].new_zeros(len(rows), width, *rows[0].shape[1:])
    for index, row in enumerate(rows):
        result[index, : len(row)] = row
    return result


def stack_rows_grad(full_BL: Tensor, starts: Sequence[int], width: int) -> Tensor:
    """Columns `start … start + width` of each row, clamped at the end, with gradient."""
    columns = torch.tensor(starts)[:, None] + torch.arange(width)[None]
    return full_BL.gather(1, columns.clamp(max=full_BL.shape[1] - 1))
