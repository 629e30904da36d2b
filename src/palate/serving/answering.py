"""Answers while they grow: the generator's events, and what they add up to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from palate.guardrails.decisions import Decision
from palate.guardrails.guard import Guardrails
from palate.serving.orders import Chosen, Ended, Event, Piece, Started


@dataclass(slots=True)
class Collected:
    """What was said so far; one entry for each answer."""

    prompt_tokens: int = 0
    texts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """"" while an answer is not over."""
    tokens: list[int] = field(default_factory=list)
    chosen: list[list[Chosen]] = field(default_factory=list)
    decisions: dict[int, Decision] = field(default_factory=dict)
    """Of answers that the guardrails stopped, changed, or could not look at."""
    withheld: dict[int, str] = field(default_factory=dict)
    """What was written of them, and not shown as it was."""
    policy: str = ""
    """Id of the policy that writes them, by its own word; "" where a question was stopped."""
    guard: Guardrails | None = None
    """The guardrails that look at them."""
    policies: dict[int, str] = field(default_factory=dict)
    """Ids of who writes each, where that is not one policy."""
    guards: dict[int, Guardrails | None] = field(default_factory=dict)
    """The guardrails that look at each, where they are not the same."""

    def add(self, event: Event) -> None:
        """One more event."""
        if isinstance(event, Started):
            self.prompt_tokens = event.prompt_tokens
            self.policy = event.policy or self.policy
        elif isinstance(event, Piece):
            self.reach(event.choice)
            self.texts[event.choice] += event.text
            self.chosen[event.choice] += event.chosen
        elif isinstance(event, Ended):
            self.reach(event.choice)
            self.reasons[event.choice] = event.reason
            self.tokens[event.choice] = event.tokens

    def reach(self, index: int) -> None:
        """See to it that there is an entry for this answer."""
        while len(self.texts) <= index:
            self.texts.append("")
            self.reasons.append("")
            self.tokens.append(0)
            self.chosen.append([])


class Growing:
    """An order's events from the first on, which was waited for already.

    Args:
        first: The first event.
        rest: Those after it.
        answers: How many were ordered.
    """

    def __init__(self, first: Event, rest: AsyncIterator[Event], answers: int = 1) -> None:
        self._first = first
        self._rest = cast(AsyncGenerator[Event], rest)
        self.collected = Collected()
        self.collected.reach(answers - 1)
        if isinstance(first, Started):
            self.collected.policy = first.policy

    async def events(self) -> AsyncGenerator[Event]:
        """All of them; `collected` has each before it is given out. Closing this cancels the order."""
        async with aclosing(self._rest) as rest:
            self.collected.add(self._first)
            yield self._first
            async for event in rest:
                self.collected.add(event)
                yield event

    async def whole(self) -> Collected:
        """Everything, once all answers are over."""
        async with aclosing(self.events()) as events:
            async for _ in events:
                pass
        return self.collected
