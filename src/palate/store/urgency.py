"""Bring comparisons that are in the queue forward, or take those that nobody has judged out of it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select, update

from palate.store import schema, standing
from palate.store.journal import Journal
from palate.store.lookup import among, matching, one_at_a_time


def raise_priority(journal: Journal, comparisons: Iterable[str], priority: float) -> int:
    """Let comparisons of the queue come sooner; how many do. None is put back, and check items stay where they are.

    Args:
        journal: The journal.
        comparisons: Ids; those that are not in the queue are passed over.
        priority: The greater, the sooner.
    """
    table = schema.task
    with journal.transaction() as connection:
        one_at_a_time(connection, "enqueue")
        query = select(table.c.comparison).where(table.c.state != "closed", table.c.kind != "check")
        query = query.where(table.c.rank > -priority).order_by(table.c.comparison).with_for_update()
        found = [row.comparison for row in matching(connection, query, table.c.comparison, comparisons)]
        if found:
            # Whoever has gone past their new place must hear of them.
            last = standing.opened(connection, len(found))
            change = update(table).where(table.c.comparison == bindparam("of"))
            rows = [{"of": one, "rank": -priority, "opened": last - number} for number, one in enumerate(found)]
            connection.execute(change.values(rank=bindparam("rank"), opened=bindparam("opened")), rows)
    return len(found)


def withdraw(journal: Journal, comparisons: Iterable[str]) -> int:
    """Take comparisons that nobody has judged and nobody is at work on out of the queue; how many."""
    table = schema.task
    wanted = set(comparisons)
    if not wanted:
        return 0
    with journal.transaction() as connection:
        one_at_a_time(connection, "enqueue")
        gone = delete(table).where(among(connection, table.c.comparison, wanted), table.c.done == 0, table.c.held == 0)
        return int(connection.execute(gone).rowcount)
