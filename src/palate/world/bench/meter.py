"""The clock of a side: CPU seconds a step, a probe of the core between steps, and whose turn it is.

Both sides run this file, TRL's in another interpreter, so it knows nothing of Palate.

What a shared core delivers swings. So time is CPU time, which waiting does not touch, and between two steps a
matrix product says how fast the core is just then; from both follows what a step would have taken on a core of
constant speed. That corrects too much where time is not spent in products, and raw time corrects too little.

A side says `BENCH {…}` on its standard output after each block of steps, and waits for `go` or `stop`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_PROBE_S = 0.04
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


class Stop(BaseException):
    """Whoever steers has seen enough. No recipe may take it for an error of its own."""


def alone_on(core: int) -> None:
    """One thread, on one core where the system can pin processes."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def cpu_s() -> float:
    """CPU seconds of this process, and of those it has started, such as a reward function's."""
    return time.process_time() + sum(_cpu_of(child) for child in _children())


def peak_mb() -> float:
    """Most memory that was ever resident, in MB, of this process and its children."""
    return sum(_peak_of(process) for process in ("self", *_children()))


def _children() -> list[str]:
    found: list[str] = []
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found += path.read_text(encoding="ascii").split()
        except OSError:  # that thread has ended
            continue
    return found


def _cpu_of(process: str) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:  # ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _peak_of(process: str) -> float:
    # Not `ru_maxrss`: a child inherits that of its parent.
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit if process == "self" else 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024


class Probe:
    """A matrix product of the size that small models have; says what the core delivers now, in GFLOP/s."""

    def __init__(self) -> None:
        self.rows = torch.randn(1024, 384)
        self.weights = torch.randn(1280, 384)

    def __call__(self) -> float:
        """Measure for some hundredths of a second."""
        begun, count, spent = time.process_time(), 0, 0.0
        with torch.inference_mode():
            while spent < _PROBE_S:
                torch.nn.functional.linear(self.rows, self.weights)
                count += 1
                spent = time.process_time() - begun
        return 2 * 1024 * 384 * 1280 * count / spent / 1e9


class Meter:
    """Measures steps, a block at a time, when told to.

    Args:
        steps: In a block.
        facts: What else is to be said of a block that has just ended, and forgotten.
        probe: Measures the core, in GFLOP/s.
        clock: CPU seconds.
        hear: The next word of whoever steers.
        say: Where a block's figures go.
    """

    def __init__(
        self,
        steps: int,
        facts: Callable[[], dict[str, Any]],
        *,
        probe: Callable[[], float] | None = None,
        clock: Callable[[], float] = cpu_s,
        hear: Callable[[], str] = sys.stdin.readline,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.steps = steps
        self.facts = facts
        self.probe = probe or Probe()
        self.clock = clock
        self.hear = hear
        self.say = say or _print
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.gflops: list[float] = []
        self.extra: dict[str, list[float]] = {}

    def begin(self, **facts: Any) -> None:
        """The first step is about to begin: say so, and wait for one's turn."""
        self.extra = {}  # of what came before the first step
        self.say("BENCH " + json.dumps({"ready": True, **facts}))
        self._await_turn()

    def add(self, name: str, seconds: float) -> None:
        """Some of this step's CPU seconds went into `name`."""
        named = self.extra.setdefault(name, [])
        named += [0.0] * (len(self.cpu) + 1 - len(named))
        named[-1] += seconds

    def step(self) -> None:
        """A step has ended."""
        self.cpu.append(self.clock() - self._cpu)
        self.wall.append(time.perf_counter() - self._wall)
        now = self.probe()
        self.gflops.append((self._before + now) / 2)
        if len(self.cpu) < self.steps:
            self._start(now)
            return
        block = {
            "cpu_s": self.cpu,
            "wall_s": self.wall,
            "probe_gflops": self.gflops,
            "parts_s": {name: [*spent, *[0.0] * (self.steps - len(spent))] for name, spent in self.extra.items()},
            "peak_mb": peak_mb(),
            **self.facts(),
        }
        self.say("BENCH " + json.dumps(block))
        self.cpu, self.wall, self.gflops, self.extra = [], [], [], {}
        self._await_turn()

    def _await_turn(self) -> None:
        if self.hear().strip() != "go":  # told to stop, or nobody is there any more
            raise Stop
        self._start(self.probe())

    def _start(self, gflops: float) -> None:
        self._before, self._wall, self._cpu = gflops, time.perf_counter(), self.clock()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
