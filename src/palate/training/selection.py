"""Looks at held-out data during training: which weights were best, and when to stop early."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from palate.training import checkpoint, parallel
from palate.training.parallel_weights import brought
from palate.training.run import Run
from palate.training.settings import HeldoutConfig


class Selection:
    """Remembers the best look. It is a part of the run's state, and keeps the best weights in a file.

    Args:
        config: When to look, when to stop, what to keep.
        run: Whose folder the best weights go to.
        module: What is trained.
        look: Measures on held-out data; the first figure decides, and lower is better. None: there is no such data.
    """

    def __init__(
        self, config: HeldoutConfig, run: Run, module: nn.Module, look: Callable[[], Mapping[str, float]] | None
    ) -> None:
        self.config = config
        self.run = run
        self.module = module
        self.look = look
        self.best = math.inf
        self.best_step = 0
        self.waited = 0
        if look is None and config.evaluate_every:
            run.progress.note("there is no held-out data to look at: --evaluate-every does nothing")

    def state_dict(self) -> dict[str, Any]:
        """As numbers."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """As they were."""
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]

    def after(self, step: int) -> dict[str, float]:
        """Figures for the metrics, if it is time to look after this step (counted from 1)."""
        if self.look is None or not self.config.evaluate_every or step % self.config.evaluate_every:
            return {}
        found = dict(self.look())
        value = next(iter(found.values()))
        if value < self.best:
            self.best, self.best_step, self.waited = value, step, 0
            if self.config.select == "best":
                weights = {name: brought(value.detach()) for name, value in checkpoint.trained(self.module).items()}
                parallel.from_first(lambda: checkpoint.save_whole(self._file, weights))
        else:
            self.waited += 1
        return found

    @property
    def over(self) -> bool:
        """Whether to stop early."""
        return 0 < self.config.patience <= self.waited

    def settle(self) -> dict[str, float]:
        """Go back to the best weights if those were asked for; facts for the manifest."""
        if not self.best_step:
            return {}
        if self.config.select == "best":
            weights = torch.load(self._file, map_location="cpu", weights_only=True)
            checkpoint.set_weights(self._file.name, checkpoint.trained(self.module), weights)
        return {"best_step": self.best_step, "best_heldout": self.best}

    @property
    def _file(self) -> Path:
        return self.run.folder / "best.pt"
