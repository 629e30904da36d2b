"""Two drafts of one turn, each by another policy: written at the same time, and shown as if one had written both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request

from palate.serving import completions
from palate.serving.answering import Collected
from palate.serving.guarding import Answering
from palate.serving.orders import Ended, Event, Order, Piece, Started
from palate.serving.swapping import Swapping

_Heard = asyncio.Queue[tuple[int, Event | None]]
"""Number of a part and what it said; None once it is over."""


def ids(order: str) -> tuple[str, str]:
    """Ids of the two orders that one becomes."""
    return f"{order}.first", f"{order}.second"


async def under_way(request: Request, served: Swapping, order: Order, names: tuple[str, str]) -> Answering:
    """The answers of two policies to one order, begun.

    Args:
        request: Of whoever asks.
        served: What writes them.
        order: For two answers; its policy does not matter.
        names: Of the two policies.

    Raises:
        GeneratorError: one of them cannot be written; then neither is.
    """
    orders = [replace(order, id=id, policy=name, n=1) for id, name in zip(ids(order.id), names, strict=True)]
    first = await completions.under_way(request, served, orders[0])
    try:
        second = await completions.under_way(request, served, orders[1])
    except BaseException:
        async with aclosing(first.events()) as events:
            await anext(events)  # which is there already: what was never read cannot be closed
        raise
    return Duel((first, second))


class Duel:
    """Both answers as they grow; `collected` has each under its number.

    Args:
        parts: One answer each, by the policy and under the guardrails that it says.
    """

    def __init__(self, parts: tuple[Answering, Answering]) -> None:
        self._parts = parts
        said = [part.collected for part in parts]
        self.collected = Collected(policy=said[0].policy, guard=said[0].guard)
        self.collected.reach(len(parts) - 1)
        self.collected.policies = {number: one.policy for number, one in enumerate(said)}
        self.collected.guards = {number: one.guard for number, one in enumerate(said)}

    async def events(self) -> AsyncGenerator[Event]:
        """Those of both, as they come. Closing this cancels both."""
        heard: _Heard = asyncio.Queue()
        tasks = [asyncio.create_task(_hear(number, part, heard)) for number, part in enumerate(self._parts)]
        left, started = len(tasks), False
        try:
            while left:
                number, event = await heard.get()
                if event is None:
                    await tasks[number]  # which raises what it ended with
                    left -= 1
                elif not (isinstance(event, Started) and started):
                    started |= isinstance(event, Started)
                    # That it began is told once, for both, so that it names neither policy.
                    said = event._replace(policy="") if isinstance(event, Started) else event
                    said = said._replace(choice=number) if isinstance(said, Piece | Ended) else said
                    self._take(said)
                    yield said
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def whole(self) -> Collected:
        """Everything, once both are over."""
        async with aclosing(self.events()) as events:
            async for _ in events:
                pass
        return self.collected

    def _take(self, event: Event) -> None:
        self.collected.add(event)
        for number, part in enumerate(self._parts):
            # What the guardrails say of an answer is there before its end is told.
            if 0 in part.collected.decisions:
                self.collected.decisions[number] = part.collected.decisions[0]
            if 0 in part.collected.withheld:
                self.collected.withheld[number] = part.collected.withheld[0]


async def _hear(number: int, part: Answering, heard: _Heard) -> None:
    try:
        async with aclosing(part.events()) as events:
            async for event in events:
                heard.put_nowait((number, event))
    finally:
        heard.put_nowait((number, None))
