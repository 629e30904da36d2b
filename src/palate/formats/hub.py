"""A data set by its name on the hub, `hub:owner/name[split]`, through the library `datasets`.

`hub:owner/name:configuration[split]` names one configuration; the split is `train` when it is not said. A
folder that `save_to_disk` wrote can stand for the name. This is the only format that uses the network, and
only when such a name is given; <https://huggingface.co/docs/datasets/loading> describes the library.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from palate.core.errors import DataError, MissingArtefact
from palate.core.ids import ID_LENGTH
from palate.formats.extras import load
from palate.formats.rows import Found, RowsOfFile, sorted_out

_PREFIX = "hub:"
_NAME = re.compile(r"hub:(?P<name>[^:\[\]]+)(?::(?P<configuration>[^\[\]]+))?(?:\[(?P<split>.+)\])?")
_SPLIT = "train"


def is_hub(source: Path) -> bool:
    """Whether a path is no path but the name of a data set."""
    return str(source).startswith(_PREFIX)


def rows_of(source: Path) -> RowsOfFile:
    """All rows of a data set.

    Raises:
        DataError: the name cannot be read, or the data set has no rows.
        MissingArtefact: there is no such data set or split, or it cannot be reached.
        ConfigError: `datasets` is not installed.
    """
    asked = _NAME.fullmatch(str(source))
    if asked is None:
        raise DataError(
            "the name of a data set cannot be read",
            where=str(source),
            expected="hub:owner/name, hub:owner/name[split] or hub:owner/name:configuration[split]",
            found=f"`{source}`",
        )
    library = load("datasets", str(source))
    try:
        table = _open(library, asked["name"], asked["configuration"], asked["split"])
    except (OSError, ValueError, KeyError) as error:
        raise MissingArtefact(
            "a data set cannot be fetched",
            where=str(source),
            expected="a data set and a split that exist",
            found=f"{type(error).__name__}: {error}",
            hint="check the name, the split in square brackets, and the network",
        ) from error
    found = list(_found(table, f"{_PREFIX}{asked['name']}[{asked['split'] or _SPLIT}]"))
    if not found:
        raise DataError("a data set has no rows", where=str(source), expected="at least one row", found="none")
    return sorted_out(iter(found), _identity(found))


def _open(library: Any, name: str, configuration: str | None, split: str | None) -> Any:
    if (Path(name) / "dataset_dict.json").is_file():
        return library.load_from_disk(name)[split or _SPLIT]
    if (Path(name) / "dataset_info.json").is_file() and (Path(name) / "state.json").is_file():
        if split:
            raise ValueError("the folder holds one data set without splits")
        return library.load_from_disk(name)
    return library.load_dataset(name, configuration, split=split or _SPLIT)


def _found(table: Any, name: str) -> Found:
    for number, values in enumerate(table, start=1):
        yield f"{name}:{number}", dict(values)


def _identity(found: list[Any]) -> str:
    digest = hashlib.sha256()
    for _, values in found:
        line = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()[:ID_LENGTH]
