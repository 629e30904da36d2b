"""Raters, the queue and the journal as a simulation: everyone thinks, then waits for the one writer twice.

A rater takes a task (a transaction), thinks, and judges it (another). Transactions are served one at a time, in the
order in which they come. Times to think are log-normal, the writer's are constant; one seed, so the same figures each
time. `exact` gives what queueing theory says for exponential times, to hold the simulation against.
"""

from __future__ import annotations

import heapq
import math
import random
from typing import NamedTuple


class Seen(NamedTuple):
    """What the simulation saw."""

    raters: int
    judgements_a_second: float
    busy: float
    """Share of the time that the writer works."""
    wait_p50_s: float
    """From asking for a transaction to its end."""
    wait_p99_s: float


def simulate(
    raters: int, *, think_s: float, write_s: float, rounds: int = 8, spread: float = 0.6, seed: int = 0,
    exponential: bool = False,
) -> Seen:  # fmt: skip
    """So many raters at work.

    Args:
        raters: At once.
        think_s: Mean time for a judgement.
        write_s: Of one transaction; each judgement has two.
        rounds: Judgements a rater, at least 20,000 in all; the first quarter is not counted.
        spread: Standard deviation of the logarithm of times to think.
        seed: Of those times.
        exponential: Exponential times instead, for both.
    """
    draw = random.Random(seed)

    def think() -> float:
        if exponential:
            return draw.expovariate(1 / think_s)
        return draw.lognormvariate(math.log(think_s) - spread**2 / 2, spread)

    def write() -> float:
        return draw.expovariate(1 / write_s) if exponential else write_s

    # (time, rater, is a judgement): a request to the writer. At first everyone is somewhere in a task.
    asking = [(draw.random() * think_s, rater, True) for rater in range(raters)]
    heapq.heapify(asking)
    free_at = counted_from = worked = 0.0
    done, waits = 0, []
    judgements = max(20_000, rounds * raters)
    warm = judgements // 4
    while done < judgements:
        now, rater, judged = heapq.heappop(asking)
        took = write()
        free_at = max(now, free_at) + took
        if done >= warm:
            waits.append(free_at - now)
            worked += took
        if judged:
            done += 1
            if done == warm:
                counted_from = free_at
            heapq.heappush(asking, (free_at, rater, False))  # the next task at once
        else:
            heapq.heappush(asking, (free_at + think(), rater, True))
    waits.sort()
    lasted, count = free_at - counted_from, len(waits)
    return Seen(
        raters,
        judgements_a_second=(judgements - warm) / lasted,
        busy=min(worked / lasted, 1.0),
        wait_p50_s=waits[count // 2],
        wait_p99_s=waits[count * 99 // 100],
    )


def exact(raters: int, *, think_s: float, write_s: float) -> float:
    """Judgements a second with exponential times, both transactions as one of twice the length.

    Source: Reiser and Lavenberg 1980, mean value analysis of a closed network: one server, one delay.
    """
    waiting = throughput = 0.0
    for present in range(1, raters + 1):
        response = write_s * (1 + waiting)
        throughput = present / (think_s + response)
        waiting = throughput * response
    return throughput


def capacity(write_s: float) -> float:
    """Judgements a second that the writer can do at most."""
    return 1 / (2 * write_s)
