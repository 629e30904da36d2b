"""Libraries that only some formats need: imported when such a format is met."""

from __future__ import annotations

import importlib
from typing import Any

from palate.core.errors import ConfigError


def load(module: str, where: str) -> Any:
    """A module of the optional extra `data`.

    Args:
        module: Its name, such as `pyarrow.parquet`.
        where: What needs it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ConfigError(
            f"a library is not installed: {name}",
            where=where,
            expected=f"{name}, which the extra `data` brings",
            found=str(error),
            hint="pip install 'palate[data]'",
        ) from error
