"""Core records to the files of other trainers, one file a shape; what a shape cannot carry is counted and named."""

from palate.formats.write.llama_factory import TARGET as LLAMA_FACTORY
from palate.formats.write.lossless import write_lossless
from palate.formats.write.nemo_rl import TARGET as NEMO_RL
from palate.formats.write.openrlhf import TARGET as OPENRLHF
from palate.formats.write.table import table
from palate.formats.write.target import Target
from palate.formats.write.trl import TARGET as TRL
from palate.formats.write.verl import TARGET as VERL
from palate.formats.write.writing import (
    Written,
    write_demonstrations,
    write_preferences,
    write_prompts,
    write_streamed,
)

TARGETS = {target.name: target for target in (TRL, OPENRLHF, VERL, NEMO_RL, LLAMA_FACTORY)}
"""Every shape that can be written, by the name that people give it."""

__all__ = [
    "TARGETS",
    "Target",
    "Written",
    "table",
    "write_demonstrations",
    "write_lossless",
    "write_preferences",
    "write_prompts",
    "write_streamed",
]
