"""What every recipe does around its loop: a run folder, metrics as they come, an artefact at the end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import torch
from transformers import PreTrainedModel

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import ConfigError, TrainingError
from palate.core.progress import Progress


@dataclass(slots=True)
class Run:
    """One execution of a recipe.

    `metrics.jsonl` grows in the run's folder while it works, a line a step; the artefact appears
    at once when `finish` is called, and not before.
    """

    workspace: Workspace
    manifest: Manifest
    progress: Progress
    started: float = field(default_factory=time.monotonic)
    last: dict[str, float] = field(default_factory=dict)
    _metrics: IO[str] | None = None

    @property
    def folder(self) -> Path:
        """`runs/<id>/`."""
        return self.workspace.run_folder(self.manifest.id)

    @property
    def done(self) -> Path | None:
        """The artefact, if the same work was done before."""
        return self.workspace.path(self.manifest.id) if self.workspace.has(self.manifest.id) else None

    def log(self, step: int, facts: Mapping[str, float], *, show: bool = True) -> None:
        """Append a line of metrics.

        Raises:
            TrainingError: a figure is not finite; it names the figure and the step.
        """
        for name, value in facts.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} is not finite",
                    where=f"{self.manifest.made_by}, step {step}",
                    found=str(value),
                    hint="lower --learning-rate, or look at the last lines of " + str(self.folder / "metrics.jsonl"),
                )
        if self._metrics is None:
            self._metrics = (self.folder / "metrics.jsonl").open("w", encoding="utf-8")
        elapsed_s = round(time.monotonic() - self.started, 3)
        line = {"step": step, "time_s": elapsed_s, **{name: float(value) for name, value in facts.items()}}
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        self.last.update(facts)
        if show:
            self.progress.advance(step, facts)

    def finish(self, write: Callable[[Path], None], facts: Mapping[str, Any] | None = None) -> Path:
        """Leave the artefact, with what came out in its manifest."""
        self.close()
        all_facts = {**self.last, **(facts or {}), "time_s": round(time.monotonic() - self.started, 2)}
        return self.workspace.put(replace(self.manifest, facts=all_facts), write)

    def close(self) -> None:
        """Close the metrics file."""
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None


def open_run(
    workspace: Workspace, kind: str, made_by: str, config: Any, inputs: Mapping[str, str], progress: Progress
) -> Run:
    """A run whose id follows from the recipe, its settings and its inputs.

    The resolved settings are written to `config.json` in the run's folder.
    """
    settings = json.loads(json.dumps(asdict(config), default=str))
    run = Run(workspace, Manifest(kind=kind, made_by=made_by, config=settings, inputs=dict(inputs)), progress)
    text = json.dumps({"made_by": made_by, "config": settings, "inputs": dict(inputs)}, indent=2)
    (run.folder / "config.json").write_text(text + "\n", encoding="utf-8")
    return run


def refuse_unless_positive(config: Any, *names: str) -> None:
    """Hold some settings of a recipe above 0.

    Raises:
        ConfigError: one is not; it names the option.
    """
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(
                f"--{name.replace('_', '-')} cannot be used", expected="above 0", found=str(getattr(config, name))
            )


def longest_row(model: PreTrainedModel, max_tokens: int) -> int:
    """Tokens of the longest row to learn from: `max_tokens`, but never more than the model's context."""
    context = getattr(model.config, "max_position_embeddings", None)
    return max_tokens if context is None else min(max_tokens, context)


def linear_schedule(step: int, total: int, *, warmup: int, decay_from: float) -> float:
    """Factor on the learning rate: up over `warmup` steps, flat, then straight down to a tenth.

    Args:
        step: 0-based.
        total: Steps of the run.
        warmup: Steps until the factor is 1.
        decay_from: Share of the run after which it falls; 1 never falls.
    """
    if step < warmup:
        return (step + 1) / warmup
    begin = decay_from * total
    if step < begin or total <= begin:
        return 1.0
    return max(1.0 - 0.9 * (step - begin) / (total - begin), 0.1)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set it for all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = value


def optimizer_step(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter], *, max_norm: float) -> float:
    """Clip the gradient, step, clear; return the gradient's norm before clipping.

    Raises:
        TrainingError: the gradient is not finite. Nothing is updated then.
    """
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, max_norm))
    if not math.isfinite(norm):
        raise TrainingError("a gradient is not finite", found=str(norm), hint="lower --learning-rate")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
