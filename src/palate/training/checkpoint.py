"""Checkpoints: all that a run's next step depends on, on the disk at once or not at all.

One file a checkpoint, named by the number of steps behind it. It holds what every part says of itself
(`state_dict`), torch's generators, and how long each of the run's growing files was, so that a run that
goes on cuts them back and writes each line once. Of a model only what is trained is kept: the rest comes
from the folder that the run began with. A file that was damaged is passed over for an older one.

Checkpoints belong to the run that wrote them. They are read with `weights_only`, but never fetched from
anywhere else. Several processes with whole weights leave the same file as one; where weights are parted, a
folder stands in its place, see `parallel_checkpoint`. Any number of processes can go on from either.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from palate.core.errors import PalateError, TrainingError
from palate.training import parallel, parallel_checkpoint
from palate.training.parallel_weights import alike, fitted

_NAME = re.compile(r"step-(\d{8})(\.pt)?")


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
    run: str = ""
    """Who wrote it."""
    damaged: tuple[str, ...] = ()
    """Newer files that could not be read, and why."""
    path: Path | None = None
    """Of the file, or folder."""


def write(
    folder: Path, step: int, parts: Mapping[str, Stateful], sizes: Mapping[str, int], *, keep: int, run: str = ""
) -> Path:
    """Write a checkpoint, then forget all but the newest `keep`, and what a kill left half-written.

    Raises:
        TrainingError: the disk does not take it. What was there before still is.
    """
    if parallel.world().first:
        with in_words("a checkpoint cannot be written", folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(".step-*"):
                _remove(left)
    payload = {
        "run": run,
        "step": step,
        "sizes": dict(sizes),
        "parts": {name: _dump(part) for name, part in parts.items()},
        "generators": _generators(),
    }
    target = folder / f"step-{step:08d}.pt"
    if parallel_checkpoint.is_parted(payload["parts"]):
        target = target.with_suffix("")
        with in_words("a checkpoint cannot be written", target):
            parallel_checkpoint.write(target, payload)
    elif parallel.world().first:
        save_whole(target, payload)
    if not parallel.world().first:
        return target
    kept = 0
    for path in _files(folder):
        newer = path.stem > target.stem  # damaged: the run began from an older one
        kept += not newer
        if newer or kept > keep:
            _remove(path)
    return target


def save_whole(target: Path, payload: Any) -> Path:
    """Write a file that is seen whole or not at all, even after a loss of power.

    Raises:
        TrainingError: the disk does not take it. What was there before still is.
    """
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    # Torch's writer answers a refusal of the disk, and an interruption, with a RuntimeError of its own.
    with in_words("a checkpoint cannot be written", target, RuntimeError):
        try:
            with staging.open("wb") as handle:
                torch.save(payload, handle)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(staging, target)
        finally:
            staging.unlink(missing_ok=True)
        flush_folder(target.parent)
    return target


@contextmanager
def in_words(what: str, where: Path, *more: type[Exception]) -> Iterator[None]:
    """Say it in words when the disk refuses: full, read-only, gone.

    Args:
        what: Cannot be written.
        where: It should go.
        more: Errors that mean the same here.
    """
    try:
        yield
    except PalateError:
        raise
    except (OSError, SafetensorError, *more) as error:  # type: ignore[misc]
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise TrainingError(
            what,
            where=str(where),
            found=str(error).splitlines()[0][:160],
            hint="make room on the disk; the same command goes on from the newest checkpoint",
        ) from error


def flush_folder(folder: Path) -> None:
    """Wait until a folder's list of names is on the disk."""
    if os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read, if there is one.

    Raises:
        TrainingError: there are checkpoints, and none can be read.
    """
    damaged: list[str] = []
    for path in _files(folder):
        try:
            return read(path)._replace(damaged=tuple(damaged))
        except Exception as error:  # noqa: BLE001 - there is no end to what damaged bytes can raise
            damaged.append(f"{path.name}: {type(error).__name__} {error}".splitlines()[0][:160])
    if damaged:
        raise TrainingError(
            "no checkpoint of a run can be read",
            where=str(folder),
            found=damaged[0],
            hint=f"delete {folder}, and the run begins again",
        )
    return None


def read(path: Path) -> Checkpoint:
    """One checkpoint; parted tensors come when it is put in place."""
    file = path / parallel_checkpoint.REST if path.is_dir() else path
    with zipfile.ZipFile(file) as whole:  # torch writes checksums and reads past them
        if (bad := whole.testzip()) is not None:
            raise ValueError(f"{bad} is damaged")
    parted = path.is_dir()
    data = parallel_checkpoint.read_rest(path) if parted else torch.load(file, map_location="cpu", weights_only=True)
    found = (data[name] for name in ("step", "sizes", "parts", "generators", "run"))
    return Checkpoint(*found)._replace(path=path)


def agreed(folder: Path) -> Checkpoint | None:
    """As `newest`, the same one in every process."""
    here: list[Checkpoint] = []

    def look() -> tuple[Path | None, tuple[str, ...]] | None:
        found = newest(folder)
        here.extend([found] if found else [])
        return (found.path, found.damaged) if found else None

    told = parallel.from_first(look)
    if told is None or told[0] is None:
        return None
    return here[0] if here else read(told[0])._replace(damaged=told[1])


def restore(checkpoint: Checkpoint, parts: Mapping[str, Stateful], *, run: str = "") -> None:
    """Put every part where it stood.

    Raises:
        TrainingError: the checkpoint is of another run, of other parts, or of a model with other weights.
    """
    if checkpoint.run != run:
        raise TrainingError("a checkpoint belongs to another run", expected=run, found=checkpoint.run)
    if checkpoint.parts.keys() != parts.keys():
        raise TrainingError(
            "a checkpoint does not fit its run", expected=", ".join(sorted(parts)), found=", ".join(checkpoint.parts)
        )
    known = checkpoint.parts
    if checkpoint.path is not None and checkpoint.path.is_dir():
        known = parallel_checkpoint.read_parts(checkpoint.path, known)
    for name, part in parts.items():
        _load(name, part, known[name])
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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
    if isinstance(part, nn.Module):
        set_weights(name, trained(part), state)
        return
    if isinstance(part, torch.optim.Optimizer):
        state = fitted(part, state)
    try:
        part.load_state_dict(state)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, PalateError):
            raise
        raise TrainingError(
            "a checkpoint does not fit its run", where=name, found=f"{type(error).__name__}: {error}"[:160]
        ) from error


def set_weights(name: str, parameters: Mapping[str, nn.Parameter], state: Mapping[str, Tensor]) -> None:
    """Put weights where they stood.

    Args:
        name: What they belong to, for the error.
        parameters: What is to be set.
        state: To what.

    Raises:
        TrainingError: these are the weights of another model.
    """
    mine = {key: tuple(parameter.shape) for key, parameter in parameters.items()}
    theirs = {key: tuple(value.shape) for key, value in state.items()}
    if mine != theirs:  # copy_ would stretch a smaller one without a word
        odd = sorted(mine.keys() | theirs.keys(), key=lambda key: (mine.get(key) == theirs.get(key), key))[0]
        raise TrainingError(
            "a checkpoint does not fit its model",
            where=f"{name}, {odd}",
            expected=f"shape {mine[odd]}" if odd in mine else "no such weight",
            found=f"shape {theirs[odd]}" if odd in theirs else "no such weight",
            hint="checkpoints belong to the run that wrote them",
        )
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(alike(state[key], parameter))


def forget(folder: Path) -> None:
    """Delete all checkpoints of a run, and the folder."""
    shutil.rmtree(folder, ignore_errors=True)
