"""Checkpoints of parted weights: a folder in which each process writes its part, to be read by any number of them.

Beside the parts, which `torch.distributed.checkpoint` writes and cuts anew on reading, lies `rest.pt`: all of a
checkpoint that is not parted, with a marker wherever a parted tensor belongs. The folder gets its name when all of
it is on the disk.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, zeros

from palate.training import parallel

REST = "rest.pt"
_PARTS = "parts"
_MARK = "a parted tensor"
_FILES = "files"


def is_parted(state: Any) -> bool:
    """Whether there is a sharded tensor anywhere in it."""
    found: list[Tensor] = []

    def note(_: str, value: Any) -> Any:
        if isinstance(value, DTensor):
            found.append(value)
        return value

    _walk(state, "", note)
    return bool(found)


def write(target: Path, payload: Mapping[str, Any]) -> None:
    """Write a checkpoint's folder; all processes at once, on a disk that all of them see."""
    staging = target.with_name(f".{target.name}")
    parts: dict[str, Tensor] = {}

    def mark(where: str, value: Any) -> Any:
        if not isinstance(value, DTensor):
            return value
        parts[where] = value
        return {_MARK: where, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}

    rest = _walk(payload, "", mark)

    def clear() -> None:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)

    def name_it() -> None:
        with (staging / REST).open("wb") as handle:
            torch.save({**rest, _FILES: _sizes(staging)}, handle)
            handle.flush()
            os.fsync(handle.fileno())
        shutil.rmtree(target, ignore_errors=True)
        os.replace(staging, target)

    parallel.from_first(clear)
    try:
        save(parts, checkpoint_id=staging / _PARTS, process_group=parallel.world().control)
    except CheckpointException as error:  # no Exception to torch
        raise OSError(str(next(iter(error.failures.values()))[0])) from error
    parallel.from_first(name_it)


def read_rest(folder: Path) -> Any:
    """All that is not parted, with markers.

    Raises:
        ValueError: a file is not there, or not as long as it was.
    """
    rest = torch.load(folder / REST, map_location="cpu", weights_only=True)
    if rest[_FILES] != (found := _sizes(folder)):
        odd = sorted(rest[_FILES].items() ^ found.items())
        raise ValueError(f"{odd[0][0]} is damaged")
    return rest


def read_parts(folder: Path, state: Any) -> Any:
    """The state with its parted tensors in their places: parted anew if this run parts its weights, else whole."""
    parts: dict[str, Tensor] = {}

    def make_room(_: str, value: Any) -> Any:
        if not (isinstance(value, dict) and _MARK in value):
            return value
        parts[value[_MARK]] = room = _room(value["shape"], getattr(torch, value["dtype"]))
        return room

    whole = _walk(state, "", make_room)
    together = parallel.world().shards
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it reads alone is no news
        load(
            parts,
            checkpoint_id=folder / _PARTS,
            process_group=parallel.world().control if together else None,
            no_dist=not together,
        )
    return whole


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of parts."""
    return {path.name: path.stat().st_size for path in sorted((folder / _PARTS).iterdir())}


def _room(shape: list[int], dtype: torch.dtype) -> Tensor:
    here = parallel.world()
    if not here.shards:
        return torch.zeros(shape, dtype=dtype)
    mesh = init_device_mesh(here.device, (here.size,))
    return zeros(*shape, dtype=dtype, device_mesh=mesh, placements=[Shard(0)])


def _walk(value: Any, where: str, change: Callable[[str, Any], Any]) -> Any:
    """A copy of nested dicts, lists and tuples, every value in them changed; a dict may be a value, too."""
    changed = change(where, value)
    if changed is not value:
        return changed
    if isinstance(value, Mapping):
        return {key: _walk(one, f"{where}/{key}", change) for key, one in value.items()}
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (int, float, str)):
        return type(value)(_walk(one, f"{where}/{place}", change) for place, one in enumerate(value))
    return value
