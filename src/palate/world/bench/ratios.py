"""From blocks of steps to figures: rates, ratios, and which of them counts.

A rate is tokens a CPU second, raw and for a core of constant speed (`meter`). The ratio of a round is Palate's rate
over TRL's of the same round, a minute apart at most. What counts is the lower of the two medians over rounds, with
the smallest and the largest ratio of that kind beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from palate.world.bench.workload import CORE_GFLOPS

PHASES = ("rollout", "passes", "forward", "backward", "optimiser", "rest")
"""What a step's time divides into; see `phases`."""
Block = dict[str, Any]
"""What a side says of a block."""


class Rate(NamedTuple):
    """Tokens a CPU second."""

    raw: float
    norm: float
    """On a core that delivers `CORE_GFLOPS`."""


class Spread(NamedTuple):
    """A median with what it is a median of."""

    value: float
    low: float
    high: float
    n: int


class Ratio(NamedTuple):
    """Palate over TRL."""

    raw: Spread
    norm: Spread

    @property
    def counts(self) -> Spread:
        """The lower of the two."""
        return min(self.raw, self.norm, key=lambda spread: spread.value)


def seconds(block: Block, *, part: str = "") -> tuple[float, float]:
    """CPU seconds of a block, raw and normalised, with what was charged to it; or of one part of its steps."""
    spent = block["parts_s"][part] if part else block["cpu_s"]
    gflops = block["probe_gflops"]
    charge = 0.0 if part else block.get("charge_s", 0.0)
    raw = sum(spent) + charge
    norm = sum(s * g for s, g in zip(spent, gflops, strict=True)) + charge * median(gflops)
    return raw, norm / CORE_GFLOPS


def rate(block: Block, *, sampling: bool = False) -> Rate:
    """Trained tokens a CPU second; or sampled ones a second of sampling."""
    raw, norm = seconds(block, part="rollout" if sampling else "")
    tokens = block["completion_tokens" if sampling else "tokens"]
    return Rate(tokens / raw, tokens / norm)


def ratio(ours: Sequence[Block], theirs: Sequence[Block], *, sampling: bool = False) -> Ratio:
    """Palate's rate over TRL's, round by round."""
    pairs = [(rate(a, sampling=sampling), rate(b, sampling=sampling)) for a, b in zip(ours, theirs, strict=True)]
    return Ratio(spread(a.raw / b.raw for a, b in pairs), spread(a.norm / b.norm for a, b in pairs))


def utilisation(blocks: Sequence[Block], *, sampling: bool = False) -> Spread:
    """Useful operations over what the core would have delivered in the time, block by block."""
    found = []
    for block in blocks:
        _, norm = seconds(block, part="rollout" if sampling else "")
        found.append(block["sampling_flops" if sampling else "flops"] / (norm * CORE_GFLOPS * 1e9))
    return spread(found)


def shares(blocks: Sequence[Block]) -> dict[str, float]:
    """How the CPU time of all blocks divides into phases; the rest is what no other took."""
    whole = sum(seconds(block)[0] for block in blocks)
    spent = {name: sum(sum(block["parts_s"].get(name, [])) for block in blocks) for name in PHASES[:-1]}
    spent["passes"] += sum(block.get("charge_s", 0.0) for block in blocks)
    found = {name: value / whole for name, value in spent.items()}
    return found | {PHASES[-1]: 1 - sum(found.values())}


def peak_mb(blocks: Sequence[Block]) -> float:
    """Most memory that a side had at the end of any block."""
    return max(float(block["peak_mb"]) for block in blocks)


def spread(values: Iterable[float]) -> Spread:
    """Median, smallest, largest, and how many."""
    found = list(values)
    return Spread(median(found), min(found), max(found), len(found))
