"""Where a recipe's time goes: CPU seconds by phase, measured from outside.

Functions that all recipes call are replaced, in every module that has them, by ones that also look at the clock.
What is called within another phase belongs to that phase, but for sampling, which is a phase wherever it happens.

| phase | what it is |
|---|---|
| `rollout` | sampling completions |
| `passes` | what reference, reward and critic say of them; the reference's log-probs before the first step of DPO |
| `forward` | asking the model about rows, with a gradient |
| `backward` | gradients |
| `optimiser` | clipping and the step |
| `rest` | laying rows out, losses, metrics, texts |
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from palate.models import layout, sampling
from palate.training import optimisation, rollouts
from palate.training.scorers import ModelScorer

_WITHIN = {"passes": ("rollout",)}
"""Phases that are told apart from the one they happen in; what else happens in it belongs to it."""


class Phases:
    """Adds up CPU seconds by phase.

    Args:
        add: Called with a phase and seconds.
        clock: CPU seconds.
    """

    def __init__(self, add: Callable[[str, float], None], clock: Callable[[], float] = time.process_time) -> None:
        self.add = add
        self.clock = clock
        self._stack: list[str] = []
        self._since = 0.0

    def timed(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """The same function, with its time put down to a phase."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._stack and phase not in _WITHIN.get(self._stack[-1], ()):
                return function(*args, **kwargs)
            self._switch()
            self._stack.append(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._stack.pop()

        return call

    def _switch(self) -> None:
        now = self.clock()
        if self._stack:
            self.add(self._stack[-1], now - self._since)
        self._since = now


def watch(phases: Phases) -> None:
    """Time the recipes of this process from now on; import them first."""
    replace_everywhere(sampling.sample, phases.timed(sampling.sample, "rollout"))
    replace_everywhere(rollouts.roll_out, phases.timed(rollouts.roll_out, "passes"))
    for function in (layout.logprobs, layout.values, layout.last_scores):
        replace_everywhere(function, phases.timed(function, "forward"))
    replace_everywhere(optimisation.optimizer_step, phases.timed(optimisation.optimizer_step, "optimiser"))
    torch.autograd.backward = phases.timed(torch.autograd.backward, "backward")
    ModelScorer.score = phases.timed(ModelScorer.score, "passes")  # type: ignore[method-assign]


def replace_everywhere(function: Callable[..., Any], other: Callable[..., Any]) -> int:
    """Put another function in its place, in all modules of Palate that know it by name; in how many."""
    count = 0
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] != "palate":
            continue
        for attribute, value in list(vars(module).items()):
            if value is function:
                setattr(module, attribute, other)
                count += 1
    return count
