"""What came out of a foreign file: what was carried, what was refused, and what was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from palate.core.records import Approval, Demonstration, Prompt, Verdict

EXCERPT_LENGTH = 200
"""Characters of a refused row that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPair:
    """Two completions of one prompt, and what one row of the file says of them."""

    prompt: Prompt
    first: str
    """Text of the completion shown first. Where the file has no display order, its content decides."""
    second: str
    verdict: Verdict
    rater: str | None = None
    """Who judged, if the file says so."""
    writers: tuple[str, str] = ("", "")
    """What the file calls the models that wrote the two completions; empty if it does not say."""
    strength: int = 0
    """How clearly, see `core.records.STRENGTHS`."""
    note: str = ""
    """What the rater said of it."""
    where: str
    """`file:line`."""
    row: int
    """Number of the row in the file, from 1; broken and refused rows count, blank lines do not."""
    part: int = 0
    """Which of the row's pairs, from 0."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was quarantined."""

    where: str
    """`file:line`."""
    reason: str
    excerpt: str
    """The beginning of the row, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Everything that was in a file. Each row is carried whole or is among `refused`."""

    shape: str
    """Name of the shape, see `palate.formats.SHAPES`."""
    pairs: list[ImportedPair]
    demonstrations: list[Demonstration]
    prompts: list[Prompt]
    """Prompts that came without an answer."""
    approvals: list[Approval] = field(default_factory=list)
    """Completions that were called good or bad on their own, whatever else became of them."""
    texts: list[str] = field(default_factory=list)
    """Plain texts, which only pre-training can use."""
    refused: list[Refusal]
    lost: dict[str, int]
    """Columns that could not be carried, and in how many carried rows they held something."""
    rows: int
    """Rows in the file, the refused ones included."""
    identity: str = ""
    """Id of the file's bytes, or of the rows where there is no file."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The column map that was used: Palate's name to the file's; empty for the other shapes."""


def excerpt(row: object) -> str:
    """The beginning of a row on one line, safe to print."""
    text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
    text = " ".join(text[: 2 * EXCERPT_LENGTH].split())
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= EXCERPT_LENGTH else text[: EXCERPT_LENGTH - 1] + "…"
