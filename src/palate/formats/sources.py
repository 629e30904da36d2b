"""Where rows come from: a text file, a Parquet file, an export of ChatGPT, or a data set named on the hub."""

from __future__ import annotations

from pathlib import Path

from palate.formats import chatgpt, hub, parquet
from palate.formats.files import PARQUET
from palate.formats.limits import LIMITS
from palate.formats.rows import RowsOfFile, rows_of, sorted_out


def rows_from(source: Path) -> RowsOfFile:
    """All rows of a file, of a folder or archive that ChatGPT exported, or of `hub:owner/name[split]`.

    Raises:
        MissingArtefact: there is no such file or data set.
        DataError: it cannot be read as a whole.
        ConfigError: reading it needs a library that is not installed.
    """
    if hub.is_hub(source):
        return hub.rows_of(source)
    if chatgpt.is_export(source):
        return sorted_out((item.row for item in chatgpt.items_of(source, LIMITS)), chatgpt.identity(source))
    if source.suffix.lower() == PARQUET:
        return parquet.rows_of(source)
    return rows_of(source)
