"""What came out of a foreign file: what was carried, what was refused, and what was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from palate.core.guidelines import Guideline
from palate.core.records import (
    Approval,
    Comparison,
    Completion,
    Demonstration,
    Feedback,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    Verdict,
    WrittenAnswer,
)

Fact = Prompt | Completion | Comparison | Rater | Judgement | Slate | Ranking | WrittenAnswer | Feedback | Guideline
"""A record as the journal keeps it, with an id of its own."""

EXCERPT_LENGTH = 200
"""Characters of a refused row that are shown."""


class ImportedFact(NamedTuple):
    """A record as another journal wrote it down."""

    record: Fact
    where: str
    """`file:line`."""


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
    reasons: tuple[str, ...] = ()
    guideline: str = ""
    seconds: float | None = None
    """How long the rater looked at it, if the file says so."""
    judged_at: str = ""
    """UTC, ISO 8601; empty if the file does not say."""
    swapped: bool = False
    """The rater saw the second one on the left."""
    task: str = "normal"
    """See `core.records.TASKS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRanking:
    """Several completions of one prompt, and the order in which one rater put them."""

    prompt: Prompt
    answers: tuple[str, ...]
    ranks: tuple[int, ...]
    """For each answer: 1 is best, equal ranks are ties, 0 was not rated."""
    writers: tuple[str, ...] = ()
    """The models that wrote the answers; empty if the file does not say."""
    rater: str | None = None
    note: str = ""
    seconds: float | None = None
    judged_at: str = ""
    where: str
    row: int
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSignal:
    """What someone who used a model did with one of its answers."""

    kind: str
    """See `core.records.FEEDBACK_KINDS`."""
    prompt: Prompt | None = None
    """None where the file names the answer by an id only."""
    text: str = ""
    """The answer."""
    completion: str = ""
    """What the file calls the answer, where it has no text: the id of a completion in the journal."""
    person: str | None = None
    value: str = ""
    note: str = ""
    writer: str = ""
    """The model that wrote the answer."""
    key: str = ""
    """The file's own id of the signal, so that it is stored once however often it is exported."""
    created_at: str = ""
    where: str
    row: int
    part: int = 0


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
    rankings: list[ImportedRanking] = field(default_factory=list)
    """Orders of several completions; each is one judgement, however many pairs it implies."""
    signals: list[ImportedSignal] = field(default_factory=list)
    """Thumbs, edits, notes and reports, one completion each."""
    facts: list[ImportedFact] = field(default_factory=list)
    """Records as another journal wrote them down."""
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

    @property
    def holds_something(self) -> bool:
        """Whether anything was carried at all."""
        return any(getattr(self, name) for name in PARTS)


PARTS = ("pairs", "demonstrations", "approvals", "prompts", "rankings", "signals", "facts", "texts")
"""What rows can become: fields of `Imported` and of `shape.Carried`."""


def excerpt(row: object) -> str:
    """The beginning of a row on one line, safe to print."""
    try:
        text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):  # lists in lists in lists
        text = f"a {type(row).__name__} that cannot be shown"
    text = " ".join(text[: 2 * EXCERPT_LENGTH].split())
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= EXCERPT_LENGTH else text[: EXCERPT_LENGTH - 1] + "…"
