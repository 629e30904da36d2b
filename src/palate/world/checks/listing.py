"""Which checks there are, by group, in the order in which they stand in their files."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import Final

GROUPS: Final = MappingProxyType(
    {
        "A": "a_sequences",
        "B": "b_kl",
        "C": "c_advantages",
        "D": "d_policy",
        "E": "e_reward",
        "F": "f_preference",
        "G": "g_statistics",
    }
)
"""The letter of each group, and its file."""

Check = Callable[[], None]
"""A check on Palate's own functions; with arguments, one on others."""


def checks_of(group: str) -> dict[str, Check]:
    """The checks of a group by name; torch and transformers are imported here, and not before.

    Args:
        group: A letter of `GROUPS`.
    """
    module = import_module(f"palate.world.checks.{GROUPS[group]}")
    found = [
        (inspect.getsourcelines(function)[1], name, function)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    ]
    return {name: function for _, name, function in sorted(found, key=lambda one: one[0])}
