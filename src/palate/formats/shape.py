"""What a shape is: how its rows are recognised, and what one row becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palate.core.records import Approval, Demonstration, Prompt
from palate.formats.imported import ImportedFact, ImportedPair, ImportedRanking, ImportedSignal


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a foreign file, before anybody knows what it means."""

    number: int
    """From 1; blank lines do not count."""
    where: str
    """`file:line`."""
    values: Mapping[str, Any]
    parts: tuple[Row, ...] = ()
    """The rows of the file that were joined into this one; empty when it stands in the file itself."""

    @property
    def originals(self) -> tuple[Row, ...]:
        """The rows of the file that this one is made of."""
        return self.parts or (self,)

    @property
    def kind(self) -> str:
        """The row's own label, from a column `kind`; empty if there is none."""
        kind = self.values.get("kind")
        return "" if is_blank(kind) else str(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What one row became."""

    pairs: tuple[ImportedPair, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    approvals: tuple[Approval, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    rankings: tuple[ImportedRanking, ...] = ()
    signals: tuple[ImportedSignal, ...] = ()
    facts: tuple[ImportedFact, ...] = ()
    texts: tuple[str, ...] = ()
    used: frozenset[str] = frozenset()
    """Columns that were carried, or that say nothing the carried ones do not say."""
    lost: frozenset[str] = frozenset()
    """What was lost within the used columns, such as `messages[].weight`."""


def _accept(_rows: Sequence[Row], _name: str) -> None:
    """Nothing to say about the file as a whole."""


def each(rows: Sequence[Row]) -> list[Row]:
    """Each row stands for itself."""
    return list(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way in which people write such files."""

    name: str
    columns: str
    """The columns that make it, in words, for messages to people."""
    matches: Callable[[Mapping[str, Any]], bool]
    """Whether a row looks like it."""
    carry: Callable[[Row], Carried]
    """What a row becomes; raises DataError with the reason when it must be refused."""
    check: Callable[[Sequence[Row], str], None] = _accept
    """Refuses the file as a whole, given all its rows and its name."""
    join: Callable[[Sequence[Row]], list[Row]] = each
    """Makes one row of those that say something only together; each keeps its `parts`."""


def is_blank(value: object) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value == [] or value == {} or (isinstance(value, str) and not value.strip())
