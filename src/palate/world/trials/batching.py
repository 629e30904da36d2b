"""The same steps, batched otherwise: what a step computes must not hang on how it was parted or laid out.

A step is seen as its loss (all that was sent backwards), the norm of its gradient, and the weights after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from palate.models import load
from palate.models.layout import LAYOUTS
from palate.training import best_of_n, groups, ppo
from palate.training.rollouts import Rollouts
from palate.training.run import RunOptions
from palate.world.trials.setting import Trial

STEPS = 3
"""So many steps are looked at."""
LEAST_LOSS = 1.0
"""A loss is held against so much at least: in a policy gradient's, terms of many nats cancel, and GRPO's is 0 while
all ratios are 1. Then all of it is rounding; what is learned from is the gradient."""
ALL = 64
"""A micro-batch that holds any step of a trial."""


class Way(NamedTuple):
    """How rows are batched."""

    micro_batch: int
    layout: str
    gradient_checkpointing: bool = False


WAYS = (
    *(Way(micro_batch, layout) for micro_batch in (ALL, 1, 3) for layout in LAYOUTS),
    Way(3, "right", gradient_checkpointing=True),
    Way(3, "shared", gradient_checkpointing=True),
)
"""All of them; others are held against the first."""
SOME = (Way(ALL, "right"), Way(1, "left"), Way(3, "packed"), Way(3, "shared", gradient_checkpointing=True))
"""Each micro-batch and each layout once."""


class Seen(NamedTuple):
    """One optimiser step."""

    loss: float
    gradient_norm: float
    weights: Tensor
    """All that is trained, after it."""


class Deviation(NamedTuple):
    """How far two runs are apart, relative to the first."""

    loss: float
    gradient_norm: float
    weights: float
    """Norm of the difference, over the norm: of all weights together, because Adam moves a weight whose gradient is
    only rounding as far as any other."""

    @property
    def worst(self) -> float:
        """Of the three."""
        return max(self)


def shortened(trial: Trial) -> Trial:
    """A trial with small steps, so that rounding does not grow; one iteration of three steps where it samples."""
    trial = trial.told(learning_rate=1e-4)
    if not hasattr(trial.config, "rollouts"):
        return trial
    # With its own score for every completion, so that no group is flat and no step without a gradient.
    return trial.told(iterations=1, rollouts=12, batch_size=4, epochs=1, missing_eos="score")


def steps(trial: Trial, root: Path, stored: dict[int, Rollouts]) -> list[Seen]:
    """The first steps of a run.

    Args:
        trial: What to run.
        root: Its workspace.
        stored: Rollouts by their seed; what is not there yet is sampled and kept.
    """
    seen: list[Seen] = []
    loss, norms = [0.0], [0.0]
    backward, total_norm = torch.Tensor.backward, torch.nn.utils.get_total_norm

    def backwards(self: Tensor, gradient: Tensor | None = None, *args: Any, **more: Any) -> None:
        if gradient is None:
            loss[0] += float(self.detach())
        backward(self, gradient, *args, **more)  # type: ignore[no-untyped-call]

    def norm(*args: Any, **more: Any) -> Tensor:
        found = total_norm(*args, **more)
        norms[0] = float(found)
        return found

    def stepped(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if isinstance(optimizer, torch.optim.Adam):
            weights = [p.detach().flatten() for group in optimizer.param_groups for p in group["params"]]
            seen.append(Seen(loss[0], norms[0], torch.cat(weights)))
        loss[0] = 0.0

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch.Tensor, "backward", backwards))
        stack.enter_context(mock.patch.object(torch.nn.utils, "get_total_norm", norm))
        stack.callback(register_optimizer_step_post_hook(stepped).remove)
        for module in (ppo, groups, best_of_n):
            replay = _replay(module.roll_out, stored)
            stack.enter_context(mock.patch.object(module, "roll_out", replay))
        trial.run(root, options=RunOptions(device="cpu"))
    critics = 2 if getattr(trial.config, "critic", "") == "model" else 1  # its steps stand between the policy's
    return seen[: STEPS * critics]


def _replay(real: Callable[..., Rollouts], stored: dict[int, Rollouts]) -> Callable[..., Rollouts]:
    def roll_out(*args: Any, seed: int, **more: Any) -> Rollouts:
        if seed not in stored:
            stored[seed] = real(*args, seed=seed, **more)
        return stored[seed]

    return roll_out


def deviation(one: Sequence[Seen], other: Sequence[Seen]) -> Deviation:
    """The largest over the steps."""
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} steps and {len(other)}")
    return Deviation(
        max(abs(a.loss - b.loss) / max(abs(a.loss), LEAST_LOSS) for a, b in zip(one, other, strict=True)),
        max(abs(a.gradient_norm - b.gradient_norm) / a.gradient_norm for a, b in zip(one, other, strict=True)),
        max(float((a.weights - b.weights).norm() / a.weights.norm()) for a, b in zip(one, other, strict=True)),
    )


def deviations(trial: Trial, root: Path, ways: Sequence[Way] = WAYS) -> dict[Way, Deviation]:
    """How far each way of batching is from the first."""
    trial = shortened(trial)
    stored: dict[int, Rollouts] = {}
    found = {way: steps(trial.told(**way._asdict()), root / "-".join(map(str, way)), stored) for way in ways}
    first = found[ways[0]]
    return {way: deviation(first, found[way]) for way in ways[1:]}


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """Every model is loaded, and every number kept, in double precision."""
    real = load._load_weights

    def precise(*args: Any, **more: Any) -> Any:
        return real(*args, **more | {"dtype": torch.float64}).double()

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(load, "_load_weights", precise):
            yield
    finally:
        torch.set_default_dtype(before)


def batched(trials: Sequence[Trial]) -> list[Trial]:
    """Those whose steps can be batched in several ways: a pooled head learns from features, pretraining plainly."""
    return [trial for trial in trials if trial.name not in ("pretrain", "reward pooled", "reward members")]
