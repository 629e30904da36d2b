"""Several processes at one run, as `torchrun` starts them. In one process nothing here does anything.

Every process takes its part of the *same* step: the rows, their order and the samples' randomness do not know how
many processes there are. Losses are divided by the counts of the whole step, so gradients and figures are summed,
never averaged. Only the first process writes and speaks; it is also the one whose errors the others wait for.

`ddp` keeps whole weights everywhere and sums gradients after the last backward pass of a step. It does so itself, and
not by DistributedDataParallel, because that wants every pass to go through one wrapped `forward`, and as many passes
in every process: here a base is shared by several hats, parts of models are asked, and a process may have no row.
`fsdp2` parts weights, gradients and optimiser too, see `parallel_weights`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor

from palate.core.errors import ConfigError, Interrupted, PalateError, TrainingError

T = TypeVar("T")

MODES = ("ddp", "fsdp2")
_PATIENCE = timedelta(hours=1)
"""So long a process waits for the others, who may be writing a large model."""
_BUCKET = 1 << 23
"""Gradients that travel together: numbers, not bytes."""
_STOPPED = "palate/stopped"
_TORN = re.compile(r"gloo|nccl|connection|socket|peer|timed? ?out|wait timeout|store", re.IGNORECASE)
"""What torch says when another process has gone away."""


class World(NamedTuple):
    """Where this process stands among the others."""

    rank: int = 0
    """Counted from 0."""
    size: int = 1
    mode: str = "ddp"
    device: str = "cpu"
    """Kind of device that models are on."""
    control: Any = None
    """A gloo group for words and numbers on the CPU, whatever the models run on."""
    store: Any = None
    """Where a process that fails leaves word for the others."""

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    @property
    def shards(self) -> bool:
        """Whether weights are parted too."""
        return self.size > 1 and self.mode == "fsdp2"


class Sharded(Protocol):
    """A model whose weights are parted among the processes: a pass through it needs all of them at once."""

    def whole(self) -> AbstractContextManager[None]:
        """Inside it each process has all weights, and passes without gradient need nobody else."""

    def idle(self) -> None:
        """A pass that changes nothing, while others have rows and this process has none."""


_here = World()
_sharded: list[Sharded] = []
_told = False
"""Whether the first process says what ended this one."""


def world() -> World:
    """Where this process stands."""
    return _here


def launched() -> bool:
    """Whether torchrun, or anything that speaks like it, started this process as one of several."""
    return all(name in os.environ for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR")) and _size() > 1


def local_rank() -> int:
    """Number of this process on its machine; 0 where it is alone."""
    return int(os.environ["LOCAL_RANK"]) if launched() else 0


def begin(mode: str, device: torch.device) -> World:
    """Meet the others, once; alone it is nothing.

    Raises:
        ConfigError: the device cannot be used by several processes, or this machine has too few of them.
    """
    global _here
    if not launched():
        return _here
    if _here.size > 1:
        _here = _here._replace(mode=mode)
        return _here
    if device.type == "mps":
        raise ConfigError("--device mps is for one process", hint="--device cpu, or without torchrun")
    if device.type == "cuda":
        if local_rank() >= torch.cuda.device_count():
            raise ConfigError(
                "there are more processes than GPUs on a machine",
                expected=f"at most {torch.cuda.device_count()}",
                found=os.environ.get("LOCAL_WORLD_SIZE", str(_size())),
                hint="--nproc-per-node, or --device cpu",
            )
        torch.cuda.set_device(device)
    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    _here = World(rank, size, mode, device.type, dist.new_group(backend="gloo", timeout=_PATIENCE), store)
    atexit.register(_part)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _be_ended)
    return _here


def share(parts: Iterable[Sequence[T]]) -> Iterator[list[T]]:
    """The micro-batches that are this process's own.

    With gradient, every process goes around equally often; where it has no row, an idle pass keeps sharded models
    in step. Without, sharded models are whole inside the loop.

    Args:
        parts: All micro-batches of the step, the same in every process.
    """
    if _here.size == 1:
        yield from map(list, parts)
        return
    with ExitStack() as stack:
        if not torch.is_grad_enabled():
            for model in _sharded:
                stack.enter_context(model.whole())
        for part in deal(list(parts), _here.size)[_here.rank :: _here.size]:
            if part:
                yield part
            elif torch.is_grad_enabled():
                for model in _sharded:
                    model.idle()


def deal(parts: Sequence[Sequence[T]], hands: int) -> list[list[T]]:
    """As many micro-batches for each hand, in turn: large ones are halved until it comes out even.

    Only where there are fewer rows than hands some are empty, the last ones.
    """
    found = [list(part) for part in parts]
    while len(found) % hands:
        largest = max(range(len(found)), key=lambda place: len(found[place]))
        rows = found[largest]
        if len(rows) < 2:
            found.append([])
            continue
        half = (len(rows) + 1) // 2
        found[largest : largest + 1] = [rows[:half], rows[half:]]
    return found


def own(count: int, unit: int = 1) -> range:
    """The rows of this process, side by side.

    Args:
        count: Rows in all.
        unit: So many stay together, such as a group.
    """
    units = -(-count // unit)
    first, last = (units * rank // _here.size * unit for rank in (_here.rank, _here.rank + 1))
    return range(min(first, count), min(last, count))


def sum_facts(facts: Mapping[str, float]) -> dict[str, float]:
    """Figures of a step, of which each process has its part."""
    if _here.size == 1:
        return dict(facts)
    found: dict[str, float] = {}
    for one in gather(dict(facts)):
        for name, value in one.items():
            found[name] = found.get(name, 0.0) + value
    return found


def together(found: Tensor) -> Tensor:
    """Rows of which each process filled in its own, and left 0 in the others; on the CPU, in place."""
    if _here.size > 1:
        dist.all_reduce(found, group=_here.control)
    return found


def gather(value: T) -> list[T]:
    """What each process has, in their order."""
    if _here.size == 1:
        return [value]
    found: list[Any] = [None] * _here.size
    dist.all_gather_object(found, value, group=_here.control)
    return found


def from_first(make: Callable[[], T]) -> T:
    """What the first process makes of it, in every process; its error too.

    Raises:
        PalateError: as in the first process.
    """
    if _here.size == 1:
        return make()
    global _told
    box: list[Any] = [None, None]
    if _here.first:
        try:
            box[0] = make()
        except PalateError as error:
            box[1] = error
    dist.broadcast_object_list(box, src=0, group=_here.control)
    if box[1] is not None:
        _told = True
        raise box[1]
    return box[0]  # type: ignore[no-any-return]


def any_of(*flags: bool) -> list[bool]:
    """Of each flag, whether it stands in any process."""
    if _here.size == 1:
        return list(flags)
    found = torch.tensor(flags, dtype=torch.int32)
    dist.all_reduce(found, dist.ReduceOp.MAX, group=_here.control)
    return found.bool().tolist()


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up what each process's rows ask of the weights. Sharded weights have done so in the backward pass.

    A weight that no process's rows touched stays without gradient, as it would in one process.
    """
    if _here.size == 1:
        return
    whole = [parameter for parameter in parameters if not isinstance(parameter, DTensor)]
    touched = any_of(*(parameter.grad is not None for parameter in whole))
    flying: list[tuple[Any, Tensor, list[Tensor]]] = []
    for bucket in _buckets([parameter for parameter, some in zip(whole, touched, strict=True) if some]):
        for parameter in bucket:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flying.append((dist.all_reduce(flat, async_op=True), flat, gradients))
        if len(flying) > 2:  # a few at a time: each is a copy
            _land(*flying.pop(0))
    for bucket_in_flight in flying:
        _land(*bucket_in_flight)


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Norm of all gradients together, sharded or whole; the same in every process."""
    sharded = [gradient for gradient in gradients if isinstance(gradient, DTensor)]
    if not sharded:
        return torch.nn.utils.get_total_norm(gradients)
    norm = torch.nn.utils.get_total_norm(sharded)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def only_first(module: nn.Module | None) -> None:
    """Of a module whose whole gradient every process has computed, keep one."""
    if module is not None and not _here.first:
        module.zero_grad(set_to_none=True)


def shard(model: Sharded) -> None:
    """Remember a model whose weights are parted."""
    _sharded.append(model)


def sharded() -> Sequence[Sharded]:
    """All of them, in the order in which a step passes through them."""
    return tuple(_sharded)


def forget() -> None:
    """A run is over."""
    _sharded.clear()


def leave(error: BaseException | None) -> None:
    """A run ends with an error in this process: let the others know, or say which of them ended it.

    Raises:
        TrainingError: another process has gone away; what it left word of stands in it.
    """
    global _told
    if _here.size == 1 or error is None or _told:
        return
    if isinstance(error, Interrupted):
        _told = True  # all of them stop at once
        return
    if isinstance(error, RuntimeError) and not isinstance(error, PalateError) and _TORN.search(str(error)):
        word = _word(range(_here.size))
        _told = bool(word)
        raise TrainingError(
            "another process of this run has ended",
            where=f"process {_here.rank} of {_here.size}, which cannot go on alone",
            found=word or "it was killed, or its machine or network is gone",
            hint="the same command goes on from the newest checkpoint",
        ) from error
    with contextlib.suppress(Exception):  # the store may be gone with its machine; the others find out anyhow
        _here.store.set(f"{_STOPPED}/{_here.rank}", str(error))
    # An error that all have met is told by the first.
    _told = not _here.first and _word([0]) == f"process 0: {error}"


def hold_out(error: BaseException | None) -> None:
    """Ignore the signal that torchrun sends when one process has ended: this one ends too, and says why first."""
    alone = _here.size == 1 or threading.current_thread() is not threading.main_thread()
    if not alone and error is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def speaks() -> bool:
    """Whether this process prints what ended it: the first does, the others where it cannot know."""
    rank = int(os.environ["RANK"]) if launched() else 0
    return rank == 0 or not _told


def _word(ranks: Iterable[int]) -> str:
    """What one of these processes left behind; it may need a moment to do so."""
    for _ in range(20):
        for rank in ranks:
            with contextlib.suppress(Exception):
                if _here.store.check([f"{_STOPPED}/{rank}"]):
                    return f"process {rank}: {_here.store.get(f'{_STOPPED}/{rank}').decode()}"
        time.sleep(0.05)
    return ""


def _be_ended(*_: object) -> None:
    """Torchrun ends this process, between runs or before the first step: say why, if another said so."""
    word = _word(range(_here.size))
    if word and _here.first:
        sys.stderr.write(f"error: another process of this run has ended\n  found: {word}\n")
        sys.stderr.flush()
    os._exit(128 + signal.SIGTERM)


def _size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _part() -> None:
    """Leave no thread of torch's behind that outlives the interpreter."""
    global _here
    forget()
    with contextlib.suppress(Exception):  # at the end of a process that may have lost the others
        dist.destroy_process_group()
    _here = World(_here.rank)
    gc.collect()


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Weights of one kind, so many that they are worth a journey; the last ones first."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in reversed(parameters):
        if bucket and (size >= _BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


def _land(handle: Any, flat: Tensor, gradients: Sequence[Tensor]) -> None:
    handle.wait()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
