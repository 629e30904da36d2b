"""Where refused rows are kept, so that somebody can look at them: a line each, with its place and the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from palate.formats.imported import Refusal

FOLDER = "quarantine"


class Quarantine:
    """A file `quarantine/NAME.jsonl` of a project; it is made anew when the first row comes."""

    def __init__(self, project: Path, name: str) -> None:
        self.path = project / FOLDER / f"{name}.jsonl"
        self.rows = 0
        self._handle: IO[str] | None = None

    def add(self, refusals: Iterable[Refusal]) -> None:
        """Write down `{"file", "line", "reason", "excerpt"}` of each."""
        for refusal in refusals:
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = self.path.open("w", encoding="utf-8", errors="backslashreplace")
            file, _, line = refusal.where.rpartition(":")
            number = int(line) if line.isdigit() else None
            row = {"file": file or refusal.where, "line": number, "reason": refusal.reason, "excerpt": refusal.excerpt}
            self._handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            self.rows += 1

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.close()
