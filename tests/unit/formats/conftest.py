import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from palate.formats import Imported, read


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as JSONL; a row that is a string is written as it is."""

    def write(*rows: object, name: str = "rows.jsonl") -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def take(jsonl: Callable[..., Path]) -> Callable[..., Imported]:
    """Write rows as JSONL and read them."""

    def write_and_read(*rows: object, **options: object) -> Imported:
        return read(jsonl(*rows), **options)  # type: ignore[arg-type]

    return write_and_read


@pytest.fixture
def data() -> Path:
    """The folder of public data; the test is skipped where there is none."""
    folder = os.environ.get("PALATE_DATA")
    if not folder:
        pytest.skip("PALATE_DATA is not set: it names the folder with public data")
    return Path(folder)
