"""What each slot's row needs for its next token, on the device, and the order it draws in.

Shapes: R rows in use, S slots, T tokens of the longest completion, A, the new rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from palate.models.drawing import Drawn, at_least_single, draw
from palate.models.flat.cache import Moves
from palate.models.flat.weights import Weights


class Slots:
    """The newest token of each row, how many it has, and the numbers it draws with.

    Args:
        weights: Of the decoder.
        count: Rows at a time.
        max_new_tokens: Longest completion.
        temperature: Of all draws.
    """

    def __init__(self, weights: Weights, count: int, max_new_tokens: int, temperature: float) -> None:
        self.device, self.temperature = weights.device, temperature
        self.tokens_S, self.drawn_S, self.before_S = (
            torch.zeros(count, dtype=torch.long, device=self.device) for _ in range(3)
        )
        fine = at_least_single(weights.dtype)
        self.uniforms_ST = torch.zeros(count, max_new_tokens, dtype=fine, device=self.device)
        self._columns_T = torch.arange(max_new_tokens, device=self.device)

    def add(self, first: int, lengths: Sequence[int], uniforms_AT: np.ndarray, logits_AV: Tensor) -> Drawn:
        """New rows from slot `first` on, and their first tokens."""
        new = slice(first, first + len(lengths))
        self.uniforms_ST[new] = torch.from_numpy(uniforms_AT).to(self.uniforms_ST)
        self.before_S[new] = torch.tensor(lengths).to(self.device) - 1
        found = draw(logits_AV, self.uniforms_ST[new, 0], self.temperature)
        self.tokens_S[new], self.drawn_S[new] = found.tokens_B, 1
        return found

    def next(self, logits_RV: Tensor) -> Drawn:
        """One token more for each row in use."""
        count = logits_RV.shape[0]
        drawn_R = self.drawn_S[:count]
        found = draw(logits_RV, self.uniforms_ST[:count].gather(1, drawn_R[:, None])[:, 0], self.temperature)
        self.tokens_S[:count] = found.tokens_B
        drawn_R += 1
        return found

    def positions(self, count: int) -> Tensor:
        """Where the newest token of each of the first rows stands."""
        return self.before_S[:count] + self.drawn_S[:count]

    def unused(self, count: int, used: int) -> Tensor:
        """Which of the first own columns each of the first rows has not reached yet, (R, used)."""
        return self._columns_T[:used] >= self.drawn_S[:count, None]

    def move(self, moves: Moves) -> None:
        """As the cache did."""
        if moves.holes:
            holes, sources = (torch.tensor(places).to(self.device) for places in (moves.holes, moves.sources))
            for part in (self.tokens_S, self.drawn_S, self.before_S, self.uniforms_ST):
                part[holes] = part[sources]
