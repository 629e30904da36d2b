"""What models wrote to comparisons, for whoever judges them: summaries, checks, critiques, and debates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.store import rows, schema
from palate.store.journal import Journal
from palate.store.lookup import few, matching

DEBATE: Final = "debate"
"""The one kind that is never withheld: there, it is what is judged."""
KINDS: Final = ("summary", "check", "critique", DEBATE)
SIDES: Final = ("", "first", "second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A text that a model wrote to a comparison.

    Raters see the two answers in either order. A text that is about one of them says which in `side`, never in words.
    """

    comparison: str
    kind: str
    """One of `KINDS`."""
    helper: str
    """Who wrote it, as raters and reports call them."""
    text: str
    """Shown as the answers are: Markdown, and nothing that a page would carry out."""
    side: str = ""
    """The comparison's own side that it is about, or speaks for: `first`, `second`, or nothing for both."""
    turn: int = 0
    """Its place in a debate, from 1 on; 0 where there are no turns."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.side not in SIDES or self.turn < 0:
            raise DataError(
                "this is no attachment",
                where=f"comparison {self.comparison}",
                expected=f"kind {', '.join(KINDS)}; side first, second or none; turn from 0 on",
                found=f"kind {self.kind!r}, side {self.side!r}, turn {self.turn}",
            )
        if not self.text.strip() or not self.helper:
            raise DataError(
                "an attachment says nothing, or is by nobody",
                where=f"comparison {self.comparison}",
                expected="a text, and the name of its helper",
                found=f"helper {self.helper!r}, text {self.text!r}",
            )

    @property
    def id(self) -> str:
        """Of its content: the same text of the same helper at the same place is the same attachment."""
        return content_id("attachment", [self.comparison, self.kind, self.helper, self.side, self.turn, self.text])


def add(journal: Journal, attachments: Sequence[Attachment]) -> int:
    """Store attachments in one transaction; one that is there changes nothing.

    Returns:
        How many were new.

    Raises:
        DataError: a comparison is unknown. Nothing is stored then.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with journal.transaction() as connection:
        return rows.put_new(connection, schema.attachment, [_row(one, now) for one in attachments])


def of(journal: Journal, comparisons: Iterable[str]) -> dict[str, list[Attachment]]:
    """Of each comparison that has any, its attachments in the order in which they came."""
    with journal.reading() as connection:
        return within(connection, comparisons)


def within(connection: Connection, comparisons: Iterable[str]) -> dict[str, list[Attachment]]:
    """As `of`, in a transaction."""
    found: dict[str, list[Attachment]] = defaultdict(list)
    for row in sorted(few(connection, _ALL, schema.attachment.c.comparison, comparisons), key=lambda row: row.seq):
        found[row.comparison].append(_attachment(row))
    return dict(found)


def lacking(journal: Journal, kind: str, sides: Sequence[str], sources: Sequence[str] = ()) -> dict[str, list[str]]:
    """Comparisons that lack an attachment of a kind, in the order in which they came, and on which sides.

    Args:
        journal: The journal.
        kind: Which, by any helper.
        sides: Those on which there should be one.
        sources: Only of these; of all when none is named.
    """
    shown, table = schema.comparison, schema.attachment
    query = select(shown.c.id).order_by(shown.c.seq)
    if sources:
        query = query.where(shown.c.source.in_(sources))
    with journal.reading() as connection:
        ids = list(connection.execute(query).scalars())
        there = matching(connection, select(table).where(table.c.kind == kind), table.c.comparison, ids)
    done = {(row.comparison, row.side) for row in there}
    left = {id: [side for side in sides if (id, side) not in done] for id in ids}
    return {id: missing for id, missing in left.items() if missing}


def _row(one: Attachment, now: str) -> dict[str, Any]:
    return {
        "uid": one.id,
        "comparison": one.comparison,
        "kind": one.kind,
        "helper": one.helper,
        "side": one.side,
        "turn": one.turn,
        "text": one.text,
        "written_at": now,
    }


def _attachment(row: Any) -> Attachment:
    return Attachment(
        comparison=row.comparison, kind=row.kind, helper=row.helper, text=row.text, side=row.side, turn=row.turn
    )


_ALL = select(schema.attachment)
