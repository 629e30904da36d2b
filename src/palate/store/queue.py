"""The queue: who judges what next. People and simulated raters take from it alike.

A rater takes tasks under a lease; a judgement closes it, and time gives it back. No comparison is
given to more raters than were asked for; a rater who judged one twice counts once, by the last.
(Who judges after their lease ran out is still heard: a judgement is never thrown away, so such a
comparison can end with one more.)
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass

from sqlalchemy import delete, insert, text

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.records import Comparison, Prompt
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import require

_PRIME = 2**31 - 1
_X = f"((c.seq * :factor + :shift) % {_PRIME})"
_ORDER = f"{_X} * {_X} % {_PRIME} * {_X} % {_PRIME}"
"""A cubic congruence: scatters neighbours, and no product leaves 64 bits."""

_NEXT = text(
    f"""
    WITH next AS MATERIALIZED (
      SELECT c.seq, {_ORDER} AS place
      FROM comparison c
      WHERE (:source IS NULL OR c.source = :source)
        AND NOT EXISTS (SELECT 1 FROM judgement j WHERE j.comparison = c.id AND j.rater = :rater)
        AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.comparison = c.id AND l.rater = :rater)
        AND (
          SELECT count(*) FROM judgement j
          WHERE j.comparison = c.id AND j.verdict <> 'skip'
            AND NOT EXISTS (
              SELECT 1 FROM judgement k WHERE k.comparison = c.id AND k.rater = j.rater AND k.seq > j.seq
            )
        ) + (SELECT count(*) FROM lease l WHERE l.comparison = c.id) < :wanted
      ORDER BY place, c.seq
      LIMIT :count
    )
    SELECT c.prompt, c.first, c.second, c.source, p.messages, p.kind, a.text AS first_text, b.text AS second_text
    FROM next
    JOIN comparison c ON c.seq = next.seq
    JOIN prompt p ON p.id = c.prompt
    JOIN completion a ON a.id = c.first
    JOIN completion b ON b.id = c.second
    ORDER BY next.place, next.seq
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
        judgements_wanted: A comparison that so many raters have judged, or are at work on, is left
            out. Skips do not count, nor does what a rater said before their last judgement.
        lease_s: After so many seconds, above 0, a task that was not judged goes back.
        seed: Of the order, which is the same for everybody who gives the same seed.
        source: Only comparisons of this source.

    Raises:
        ConfigError: `count` is negative, nothing is wanted, or a lease would not last.
        DataError: the rater is unknown.
    """
    if count < 0 or judgements_wanted < 1:
        raise ConfigError(
            "a request to the queue asks for nothing that it can give",
            expected="count 0 or more, judgements_wanted 1 or more",
            found=f"count {count}, judgements_wanted {judgements_wanted}",
        )
    if not lease_s > 0:
        raise ConfigError("a lease would not last", where="lease_s", expected="seconds above 0", found=str(lease_s))
    now = time.time()
    asked = {
        "source": source,
        "rater": rater,
        "wanted": judgements_wanted,
        "count": count,
        "factor": 1 + derive_seed(seed, "queue", "factor") % (_PRIME - 1),
        "shift": derive_seed(seed, "queue", "shift") % _PRIME,
    }
    with journal.transaction() as connection:
        require(connection, schema.rater.c.id, [rater], who="requests to the queue")
        connection.execute(delete(schema.lease).where(schema.lease.c.expires_s <= now))
        tasks = [
            Task(
                lease=uuid.uuid4().hex,
                comparison=Comparison(prompt=row.prompt, first=row.first, second=row.second, source=row.source),
                prompt=Prompt.from_dicts(json.loads(row.messages), row.kind),
                first=row.first_text,
                second=row.second_text,
            )
            for row in connection.execute(_NEXT, asked).all()
        ]
        leases = [
            {"uid": task.lease, "comparison": task.comparison.id, "rater": rater, "expires_s": now + lease_s}
            for task in tasks
        ]
        if leases:
            connection.execute(insert(schema.lease), leases)
    return tasks


def release(journal: Journal, rater: str) -> int:
    """Give back what a rater holds, for instance after their program died; how many tasks."""
    with journal.transaction() as connection:
        return int(connection.execute(delete(schema.lease).where(schema.lease.c.rater == rater)).rowcount)
