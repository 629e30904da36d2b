"""Which raters judge with the help that models wrote: dealt by chance, so that what it does can be measured.

A hash of seed, source, comparison and rater against the source's share says whether this rater sees the attachments of
this comparison. What they were shown is written down when they are given it; once it is dealt, it stays, whatever the
share is changed to, since what was seen cannot be unseen. Debates are always shown, and take no part in this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.records import Comparison
from palate.store import attachments, schema, settings
from palate.store.attachments import DEBATE, Attachment
from palate.store.journal import Journal
from palate.store.lookup import few
from palate.store.writing import put

HALF: Final = 0.5
"""The share where nobody set one: with it, a difference is measured soonest."""


class Assistance(NamedTuple):
    """A rater was given a comparison that has attachments."""

    comparison: str
    rater: str
    shown: tuple[str, ...]
    """Ids of the attachments that they saw."""
    withheld: tuple[str, ...]
    """Ids of those that they did not."""
    share: float
    """Of raters who are shown what can be withheld, when this was dealt."""
    at: str


def share(journal: Journal, source: str) -> float:
    """The share of raters who see the attachments of a source's comparisons, but for debates, which all see."""
    found = settings.get(journal, _name(source))
    return HALF if found is None else float(found)


def set_share(journal: Journal, source: str, value: float) -> None:
    """Set it: 1 shows everybody, 0 nobody, and at neither can anything be measured.

    Raises:
        ConfigError: it is no share.
    """
    if not 0 <= value <= 1:
        raise ConfigError("this is no share of raters", where="share", expected="0 to 1", found=str(value))
    settings.put(journal, _name(source), value)


def deal(
    journal: Journal, rater: str, comparisons: Iterable[Comparison], *, seed: int = 0
) -> dict[str, list[Attachment]]:
    """What a rater sees of the attachments of some comparisons, in order; it is written down, also where it is none.

    Args:
        journal: The journal.
        rater: Who is given them.
        comparisons: What they are given; those without attachments are no matter.
        seed: Of the chance.

    Returns:
        Comparison id to attachments, for those of which any are shown.
    """
    given = {one.id: one for one in comparisons}
    there = attachments.of(journal, given)
    if not there:
        return {}
    shares = {source: share(journal, source) for source in {given[id].source for id in there}}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with journal.transaction() as connection:
        earlier = {row.comparison: _assistance(row) for row in sorted(
            few(connection, _OF_RATER, schema.assistance.c.comparison, there, rater=rater), key=lambda row: row.seq
        )}  # fmt: skip
        dealt = {
            id: _dealt(given[id], rater, some, shares[given[id].source], earlier.get(id), seed, now)
            for id, some in there.items()
        }
        new = [one for id, one in dealt.items() if not _same(one, earlier.get(id))]
        put(connection, schema.assistance, [_row(one) for one in new])
    return {id: seen for id, some in there.items() if (seen := [one for one in some if one.id in set(dealt[id].shown)])}


def all(journal: Journal, sources: Sequence[str] = ()) -> list[Assistance]:
    """What was dealt, in the order in which it was.

    Args:
        journal: The journal.
        sources: Only of comparisons of these sources; of all when none is named.
    """
    table, shown = schema.assistance, schema.comparison
    query = select(table).order_by(table.c.seq)
    if sources:
        query = query.join(shown, shown.c.id == table.c.comparison).where(shown.c.source.in_(sources))
    with journal.reading() as connection:
        return [_assistance(row) for row in connection.execute(query)]


def _dealt(
    comparison: Comparison, rater: str, some: Sequence[Attachment], share: float, earlier: Assistance | None,
    seed: int, now: str,
) -> Assistance:  # fmt: skip
    debates = {one.id for one in some if one.kind == DEBATE}
    held_back = bool(earlier and earlier.withheld)
    if held_back or (earlier and set(earlier.shown) - debates):
        share = earlier.share if earlier else share
        helped = not held_back
    else:
        helped = derive_seed(seed, "assistance", comparison.source, comparison.id, rater) / 2**63 < share
    shown = tuple(one.id for one in some if helped or one.id in debates)
    withheld = tuple(one.id for one in some if one.id not in shown)
    return Assistance(comparison.id, rater, shown, withheld, share, now)


def _same(one: Assistance, earlier: Assistance | None) -> bool:
    return earlier is not None and one._replace(at=earlier.at, share=earlier.share) == earlier


def _name(source: str) -> str:
    return f"assistance.share {source}"


def _row(one: Assistance) -> dict[str, Any]:
    return {**one._asdict(), "shown": json.dumps(one.shown), "withheld": json.dumps(one.withheld)}


def _assistance(row: Any) -> Assistance:
    shown, withheld = (tuple(json.loads(ids)) for ids in (row.shown, row.withheld))
    return Assistance(row.comparison, row.rater, shown, withheld, row.share, row.at)


_OF_RATER = select(schema.assistance).where(schema.assistance.c.rater == bindparam("rater"))
