"""How much memory there is: of this machine, of the group of processes that this one is in, or of a GPU.

On Linux the smaller of two numbers counts: what `/proc/meminfo` calls available, and what the control groups of
this process leave. Caches of files that the kernel can drop are free.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, NamedTuple

import torch

from palate.core.errors import ModelError

GIB: Final = 2**30
IMPORTS: Final = 400 * 2**20
"""About what Python, torch and transformers hold of a machine's memory before any model is there."""
_ENOUGH_TO_LOOK: Final = 2**28
"""Weights of fewer bytes than this are loaded without a look at the room."""
_watching: ContextVar[bool] = ContextVar("watching", default=True)


class Room(NamedTuple):
    """Bytes of a device for this process."""

    free: int
    """What can still be had."""
    own: int
    """What this process holds already for its models; a plan counts that too."""

    @property
    def whole(self) -> int:
        """What this process may hold in all."""
        return self.free + self.own


def room_on(device: torch.device) -> Room | None:
    """The memory of a device, or None where the system does not tell."""
    if device.type == "cuda":
        return Room(torch.cuda.mem_get_info(device)[0], torch.cuda.memory_reserved(device))
    if device.type == "mps":
        own = torch.mps.driver_allocated_memory()
        return Room(max(torch.mps.recommended_max_memory() - own, 0), own)
    if sys.platform == "linux":
        available = available_bytes(Path("/proc/meminfo").read_text())
        own = resident_bytes(Path("/proc/self/status").read_text()) - IMPORTS
        return Room(min([available, *_left_in_groups()]), max(own, 0))
    if sys.platform == "darwin":
        told = subprocess.run(["/usr/bin/vm_stat"], capture_output=True, text=True, check=False).stdout
        return Room(idle_bytes(told), 0) if told else None
    return None


def available_bytes(meminfo: str) -> int:
    """What programs can still have, of `/proc/meminfo`."""
    return _kib(meminfo, "MemAvailable")


def resident_bytes(status: str, name: str = "VmRSS") -> int:
    """What a process holds, of `/proc/<id>/status`; `VmHWM` is the most it ever held."""
    return _kib(status, name)


def idle_bytes(vm_stat: str) -> int:
    """What programs can still have, of macOS' `vm_stat`."""
    page = int(re.search(r"page size of (\d+) bytes", vm_stat)[1])  # type: ignore[index]
    kinds = ("free", "inactive", "speculative", "purgeable")
    return page * sum(int(found[1]) for kind in kinds if (found := re.search(rf"Pages {kind}:\s+(\d+)", vm_stat)))


def left_in_group(folder: Path) -> int | None:
    """What a control group leaves of its limit, version 2 or 1; None if it has none."""
    for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        if (folder / limit).is_file():
            text = (folder / limit).read_text().strip()
            if text == "max" or int(text) >= 2**60:  # version 1 says "no limit" with a huge number
                return None
            stat = (folder / "memory.stat").read_text() if (folder / "memory.stat").is_file() else ""
            found = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
            droppable = int(found[1]) if found else 0
            return max(int(text) - int((folder / usage).read_text()) + droppable, 0)
    return None


@contextmanager
def unwatched(off: bool) -> Iterator[None]:
    """Inside it, weights are loaded whether there is room or not."""
    token = _watching.set(_watching.get() and not off)
    try:
        yield
    finally:
        _watching.reset(token)


def refuse_without_room(folder: Path | str, dtype: torch.dtype, device: torch.device | str) -> None:
    """Hold a model's weights against the room on its device, before they are read.

    Raises:
        ModelError: they cannot fit.
    """
    if not _watching.get():
        return
    needed = weight_bytes(Path(folder), dtype)
    if needed < _ENOUGH_TO_LOOK or (room := room_on(torch.device(device))) is None or needed <= room.free:
        return
    raise ModelError(
        "a model's weights do not fit into memory",
        where=str(folder),
        expected=f"at most {in_words(room.free)}, which are free on {device}",
        found=f"{in_words(needed)} in {str(dtype).removeprefix('torch.')}",
        hint="--tuning lora holds one base for everyone, with --dtype bfloat16 in half the room; "
        "`palate show plan` says what would fit",
    )


def weight_bytes(folder: Path, dtype: torch.dtype) -> int:
    """What the weights of a folder take once they are loaded; their files say how many there are and in which type."""
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 - it is no dict
                numbers = 1
                for size in handle.get_slice(name).get_shape():
                    numbers *= size
                total += numbers * dtype.itemsize
    return total


def in_words(count: float) -> str:
    """Bytes for a person."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"


def _left_in_groups() -> list[int]:
    """Of every control group above this process that has a limit."""
    left = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = Path("/sys/fs/cgroup/memory") if controllers else Path("/sys/fs/cgroup")
        here = top / path.lstrip("/")
        places = [place for place in (here, *here.parents) if place == top or top in place.parents]
        left += [found for place in places if (found := left_in_group(place)) is not None]
    return left


def _kib(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if not found:
        raise ModelError(f"the system does not tell {name}")
    return 1024 * int(found[1])
