"""The queue: who judges what next. People and simulated raters take from it alike.

A rater takes tasks under a lease; a judgement closes it, and time gives it back. No comparison is
ever held or judged by more raters than were asked for.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass

from sqlalchemy import delete, insert, text

from palate.core.records import Comparison, Prompt
from palate.store import schema
from palate.store.journal import Journal

_NEXT = text(
    """
    SELECT c.id, c.prompt, c.first, c.second, c.source, p.messages, p.kind, a.text AS first_text, b.text AS second_text
    FROM comparison c
    JOIN prompt p ON p.id = c.prompt
    JOIN completion a ON a.id = c.first
    JOIN completion b ON b.id = c.second
    WHERE (:source IS NULL OR c.source = :source)
      AND NOT EXISTS (SELECT 1 FROM judgement j WHERE j.comparison = c.id AND j.rater = :rater)
      AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.comparison = c.id AND l.rater = :rater)
      AND (SELECT count(DISTINCT j.rater) FROM judgement j WHERE j.comparison = c.id AND j.verdict <> 'skip')
        + (SELECT count(*) FROM lease l WHERE l.comparison = c.id) < :wanted
    ORDER BY (c.seq * 2654435761 + :seed * 40503) % 4294967291
    LIMIT :count
    """
)


@dataclass(frozen=True, slots=True)
class Task:
    """A comparison as it is shown to one rater."""

    lease: str
    comparison: Comparison
    prompt: Prompt
    first: str
    """Text of the completion shown first."""
    second: str
    """Text of the completion shown second."""


def take(
    journal: Journal,
    rater: str,
    count: int,
    *,
    judgements_wanted: int,
    lease_s: float = 600.0,
    seed: int = 0,
    source: str | None = None,
) -> list[Task]:
    """Lease up to `count` comparisons to a rater, in one transaction.

    Args:
        journal: The journal.
        rater: Who asks. What they judged, skipped or hold already is not given again.
        count: At most so many.
        judgements_wanted: A comparison with so many judgements, or raters at work, is left out.
            Skips do not count.
        lease_s: After so many seconds a task that was not judged goes back.
        seed: Of the order, which is the same for everybody.
        source: Only comparisons of this source.
    """
    now = time.time()
    with journal.transaction() as connection:
        connection.execute(delete(schema.lease).where(schema.lease.c.expires_s < now))
        rows = connection.execute(
            _NEXT,
            {"source": source, "rater": rater, "wanted": judgements_wanted, "seed": seed, "count": count},
        ).all()
        tasks = [
            Task(
                lease=uuid.uuid4().hex,
                comparison=Comparison(prompt=row.prompt, first=row.first, second=row.second, source=row.source),
                prompt=Prompt.from_dicts(json.loads(row.messages), row.kind),
                first=row.first_text,
                second=row.second_text,
            )
            for row in rows
        ]
        if tasks:
            connection.execute(
                insert(schema.lease),
                [
                    {
                        "uid": task.lease,
                        "comparison": task.comparison.id,
                        "rater": rater,
                        "expires_s": now + lease_s,
                    }
                    for task in tasks
                ],
            )
    return tasks


def release(journal: Journal, rater: str) -> int:
    """Give back what a rater holds, for instance after their program died; how many tasks."""
    with journal.transaction() as connection:
        return int(connection.execute(delete(schema.lease).where(schema.lease.c.rater == rater)).rowcount)
