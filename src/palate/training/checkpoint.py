"""Checkpoints: all that a run's next step depends on, on the disk at once or not at all.

One file a checkpoint, named by the number of steps behind it. It holds what every part says of itself
(`state_dict`), torch's generators, and how long each of the run's growing files was, so that a run that
goes on cuts them back and writes each line once. Of a model only what is trained is kept: the rest comes
from the folder that the run began with.

Checkpoints belong to the run that wrote them. They are read with `weights_only`, but never fetched from
anywhere else.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import nn

from palate.core.errors import TrainingError

_NAME = re.compile(r"step-(\d{8})\.pt")


@runtime_checkable
class Stateful(Protocol):
    """A part of a run that can say where it stands, and be put there again."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, strings, and lists and dicts of them."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Stand where `state_dict` said."""


class Numbers(dict[str, float]):
    """A few numbers that change during a run, such as an adaptive coefficient."""

    def state_dict(self) -> dict[str, float]:
        """As it is."""
        return dict(self)

    def load_state_dict(self, state: Mapping[str, float], /) -> None:
        """As it was."""
        self.clear()
        self.update(state)


class Checkpoint(NamedTuple):
    """What was read from a file."""

    step: int
    """Steps behind it."""
    sizes: dict[str, int]
    """Bytes of each growing file."""
    parts: dict[str, Any]
    generators: dict[str, Any]


def write(folder: Path, step: int, parts: Mapping[str, Stateful], sizes: Mapping[str, int], *, keep: int) -> Path:
    """Write a checkpoint, then forget all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    payload = {
        "step": step,
        "sizes": dict(sizes),
        "parts": {name: _dump(part) for name, part in parts.items()},
        "generators": _generators(),
    }
    target = save_whole(folder / f"step-{step:08d}.pt", payload)
    for old in _files(folder)[keep:]:
        old.unlink(missing_ok=True)
    return target


def save_whole(target: Path, payload: Any) -> Path:
    """Write a file that is seen whole or not at all, even after a loss of power."""
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with staging.open("wb") as handle:
            torch.save(payload, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(staging, target)
    finally:
        staging.unlink(missing_ok=True)
    if os.name != "nt":  # Windows opens no folders
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return target


def newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read, if there is one.

    Raises:
        TrainingError: there are checkpoints, and none can be read.
    """
    broken = ""
    for path in _files(folder):
        try:
            data = torch.load(path, map_location="cpu", weights_only=True)
            return Checkpoint(data["step"], data["sizes"], data["parts"], data["generators"])
        except (RuntimeError, EOFError, KeyError, OSError, pickle.UnpicklingError) as error:
            broken = f"{path}: {str(error).splitlines()[0][:160]}"
    if broken:
        raise TrainingError(
            "no checkpoint of a run can be read",
            found=broken,
            hint=f"delete {folder}, and the run begins again",
        )
    return None


def restore(checkpoint: Checkpoint, parts: Mapping[str, Stateful]) -> None:
    """Put every part where it stood.

    Raises:
        TrainingError: the checkpoint is of other parts, or of a model with other weights.
    """
    if checkpoint.parts.keys() != parts.keys():
        raise TrainingError(
            "a checkpoint does not fit its run", expected=", ".join(sorted(parts)), found=", ".join(checkpoint.parts)
        )
    for name, part in parts.items():
        _load(name, part, checkpoint.parts[name])
    torch.set_rng_state(checkpoint.generators["torch"])
    if "cuda" in checkpoint.generators and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(checkpoint.generators["cuda"])


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a module that are trained, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def _files(folder: Path) -> list[Path]:
    """Checkpoints, newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def _generators() -> dict[str, Any]:
    found: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def _dump(part: Stateful) -> dict[str, Any]:
    if isinstance(part, nn.Module):
        return {name: parameter.detach() for name, parameter in trained(part).items()}
    return part.state_dict()


def _load(name: str, part: Stateful, state: dict[str, Any]) -> None:
    if not isinstance(part, nn.Module):
        part.load_state_dict(state)
        return
    parameters = trained(part)
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())
        raise TrainingError(
            "a checkpoint does not fit its model",
            where=name,
            expected="the same trained weights",
            found=", ".join(odd[:3]),
        )
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(state[key])


def forget(folder: Path) -> None:
    """Delete all checkpoints of a run, and the folder."""
    shutil.rmtree(folder, ignore_errors=True)
