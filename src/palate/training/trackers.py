"""Metrics to where a team looks at them: tensorboard, trackio, wandb, mlflow. Each is an extra."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from palate.core.artefacts import Manifest
from palate.core.errors import ConfigError


class Tracker(Protocol):
    """Somewhere that metrics go beside the run's own folder."""

    def log(self, step: int, facts: Mapping[str, float]) -> None:
        """The figures of a step."""

    def close(self) -> None:
        """The run is over, or stops."""


class _TensorBoard:
    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._writer = _library("tensorboard", "torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, facts: Mapping[str, float]) -> None:
        for name, value in facts.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandbLike:
    """wandb, and trackio, which speaks the same language."""

    def __init__(self, name: str, folder: Path, manifest: Manifest) -> None:
        self._library: Any = _library(name, name)
        where = {"dir": str(folder), "resume": "allow", "id": manifest.id} if name == "wandb" else {"resume": "allow"}
        self._library.init(project="palate", name=manifest.id, config=dict(manifest.config), **where)

    def log(self, step: int, facts: Mapping[str, float]) -> None:
        self._library.log(dict(facts), step=step)

    def close(self) -> None:
        self._library.finish()


class _MLflow:
    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._library: Any = _library("mlflow", "mlflow")
        self._library.start_run(run_name=manifest.id)
        self._library.log_params({name: str(value)[:250] for name, value in manifest.config.items()})

    def log(self, step: int, facts: Mapping[str, float]) -> None:
        self._library.log_metrics(dict(facts), step=step)

    def close(self) -> None:
        self._library.end_run()


_KNOWN: dict[str, Callable[[Path, Manifest], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": lambda folder, manifest: _WandbLike("trackio", folder, manifest),
    "wandb": lambda folder, manifest: _WandbLike("wandb", folder, manifest),
    "mlflow": _MLflow,
}


def open_trackers(names: tuple[str, ...], folder: Path, manifest: Manifest) -> list[Tracker]:
    """Open the trackers of a run.

    Raises:
        ConfigError: one is not known, or not installed.
    """
    for name in names:
        if name not in _KNOWN:
            raise ConfigError("--track has no such choice", expected=", ".join(_KNOWN), found=name)
    return [_KNOWN[name](folder, manifest) for name in names]


def _library(name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"--track {name} needs a library that is not installed", hint=f"pip install 'palate[{name}]'"
        ) from error
