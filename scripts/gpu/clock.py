"""Wall time of each step and peak memory of the device. Both sides run this file, so it knows nothing of Palate."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch


class Done(BaseException):
    """All steps were seen. No trainer may take it for an error of its own."""


class Clock:
    """Times steps; the first ones only warm up.

    Args:
        device: Whose work is waited for.
        steps: Measured ones.
        warm_up: Steps before those.
    """

    def __init__(self, device: str, steps: int, warm_up: int) -> None:
        self.device, self.steps, self.warm_up = device, steps, warm_up
        self.times: list[float] = []
        self._last = 0.0

    def begin(self) -> None:
        """The first step is about to begin."""
        self._wait()
        self._last = time.perf_counter()

    def step(self) -> None:
        """A step has ended."""
        self._wait()
        now = time.perf_counter()
        self.times.append(now - self._last)
        self._last = now
        if len(self.times) >= self.steps + self.warm_up:
            raise Done

    def tell(self, **facts: Any) -> None:
        """All of it as one line."""
        cuda = self.device.startswith("cuda")
        told = {
            "steps_s": self.times[self.warm_up :],
            "peak_bytes": torch.cuda.max_memory_allocated() if cuda else None,
            **facts,
        }
        sys.stdout.write("GPU " + json.dumps(told) + "\n")
        sys.stdout.flush()

    def _wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
