"""Have the system take back what was freed.

torch asks the C library for aligned blocks. glibc keeps freed ones for itself, and because an aligned block wants a
little more room than it had, the next one of the same size does not fit: a pass of a model of 100 million parameters
ends up with twice the memory that it uses. Blocks that the system maps one by one are given back when they are freed.
For that fresh pages are cleared each time, which small models would feel, and large ones hardly do.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from torch import nn

LARGE: Final = 50_000_000
"""Parameters from which on it pays."""
BLOCK_BYTES: Final = 2**20
"""Blocks of this size or more are mapped one by one."""
_M_MMAP_THRESHOLD: Final = -3


def give_back_large_blocks(model: nn.Module) -> None:
    """Do so in this process from now on, if a model is large. On Linux with glibc; elsewhere nothing happens."""
    if sys.platform != "linux" or sum(weight.numel() for weight in model.parameters()) < LARGE:
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES)
