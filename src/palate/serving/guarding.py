"""The guardrails between a request and its answer.

What is asked is looked at before it is answered, and an answer is held back until it may be read. Filters run in a
thread, so that no page waits for them; a reward model's score comes from the generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

import anyio
from fastapi import Request

from palate.core.records import Message
from palate.guardrails.decisions import Decision
from palate.guardrails.guard import Guardrails, Score
from palate.guardrails.holding import Held
from palate.serving.answering import Collected, Growing
from palate.serving.orders import Chosen, Ended, Event, Order, Piece, Started
from palate.serving.supervisor import GeneratorError
from palate.serving.swapping import Line, Swapping

FILTERED = "content_filter"
"""The reason for which a stopped answer ends, as clients of OpenAI's API know it."""


class Answering(Protocol):
    """An order's answers as they grow, guarded or not."""

    collected: Collected

    def events(self) -> AsyncGenerator[Event]:
        """What may be shown, piece by piece."""

    async def whole(self) -> Collected:
        """Everything, once all answers are over."""


def guardrails_of(request: Request) -> Guardrails | None:
    """The guardrails over what answers where nobody names a policy, if there are any."""
    served: Swapping = request.app.state.generator
    return served.now.guard()


async def question(guard: Guardrails | None, order: Order) -> Stopped | None:
    """The polite message in place of answers, if the question may not be answered."""
    if guard is None:
        return None
    decision = await anyio.to_thread.run_sync(guard.look_at_question, _messages(order))
    return Stopped(order, decision) if decision.blocked else None


class Stopped:
    """Answers to a question that no model was asked.

    Args:
        order: What was asked.
        decision: Why it is not answered, and what is said instead.
    """

    def __init__(self, order: Order, decision: Decision) -> None:
        self._order = order
        self.collected = Collected()
        self.collected.reach(order.n - 1)
        self.collected.decisions = dict.fromkeys(range(order.n), decision)
        self._message = decision.text

    async def events(self) -> AsyncGenerator[Event]:
        """The message, as each of the answers."""
        every: list[Event] = [Started(0, 0)]
        for index in range(self._order.n):
            every += [Piece(index, self._message), Ended(index, FILTERED, 0)]
        for event in every:
            self.collected.add(event)
            yield event

    async def whole(self) -> Collected:
        """The messages."""
        async for _ in self.events():
            pass
        return self.collected


class Guarded:
    """Answers under guard; `collected` holds what may be read, and what was withheld beside it.

    Args:
        guard: Who looks.
        line: What answers, and scores.
        order: What was asked.
        growing: What is being written.
    """

    def __init__(self, guard: Guardrails, line: Line, order: Order, growing: Growing) -> None:
        self._guard = guard
        self._line = line
        self._order = order
        self._growing = growing
        self.collected = Collected(policy=growing.collected.policy, guard=guard)
        self.collected.reach(order.n - 1)
        messages = _messages(order)
        self._held = [Held(guard, messages) for _ in range(order.n)]
        self._pieces: list[list[Piece]] = [[] for _ in range(order.n)]
        """Of each answer, those of which nothing or only a part was sent."""
        self._read = [0] * order.n
        """Characters of the pieces that were sent whole."""
        self._written = [0] * order.n
        """Pieces so far."""

    async def events(self) -> AsyncGenerator[Event]:
        """What may be shown. Closing this cancels the order, and so does the end of all its answers."""
        async with aclosing(self._growing.events()) as events:
            async for event in events:
                if isinstance(event, Started):
                    yield self._add(event)
                    continue
                if not isinstance(event, Piece | Ended) or self.collected.reasons[event.choice]:
                    continue  # of an answer that was stopped already
                for said in await (self._more(event) if isinstance(event, Piece) else self._end(event)):
                    yield self._add(said)
                if all(self.collected.reasons):
                    return

    async def whole(self) -> Collected:
        """Everything that may be read, once all answers are over."""
        async with aclosing(self.events()) as events:
            async for _ in events:
                pass
        return self.collected

    def _add(self, event: Event) -> Event:
        self.collected.add(event)
        return event

    async def _more(self, piece: Piece) -> list[Event]:
        index, held = piece.choice, self._held[piece.choice]
        self._pieces[index].append(piece)
        self._written[index] += 1
        if not held.add(piece.text):
            return []
        text = await anyio.to_thread.run_sync(held.look)
        if held.decision is not None:
            # Nobody counts the tokens of what was broken off; each piece is at least one.
            return self._over(index, text, Ended(index, FILTERED, self._written[index]))
        return [Piece(index, text, self._chosen(index, text))] if text else []

    async def _end(self, ended: Ended) -> list[Event]:
        held = self._held[ended.choice]
        score = await self._score(held.raw) if self._guard.needs_score else None
        text = await anyio.to_thread.run_sync(held.end, score)
        assert held.decision is not None
        return self._over(ended.choice, text, Ended(ended.choice, _reason(held.decision, ended), ended.tokens))

    def _over(self, index: int, text: str, ended: Ended) -> list[Event]:
        held = self._held[index]
        assert held.decision is not None
        if held.decision.marks:
            self.collected.decisions[index] = held.decision
        if held.decision.action != "pass":
            self.collected.withheld[index] = held.raw
        chosen = () if held.decision.blocked else self._chosen(index, text)
        return [Piece(index, text, chosen), ended] if text or chosen else [ended]

    def _chosen(self, index: int, text: str) -> tuple[Chosen, ...]:
        """Log-probs of the pieces that are sent now; none where the text is no longer the policy's own."""
        held, pieces = self._held[index], self._pieces[index]
        going = list[Piece]()
        while pieces and self._read[index] + len(pieces[0].text) <= held.upto:
            going.append(pieces.pop(0))
            self._read[index] += len(going[-1].text)
        return tuple(one for piece in going for one in piece.chosen) if held.raw.startswith(held.sent) else ()

    async def _score(self, text: str) -> Score:
        output = self._guard.settings.output
        assert output is not None
        assert output.reward is not None
        try:
            patience_s = output.reward.patience_s
            return Score(await self._line.score(self._order.messages, text, patience_s=patience_s))
        except GeneratorError as error:
            return Score(None, error.code)


def _reason(decision: Decision, ended: Ended) -> str:
    return FILTERED if decision.blocked else ended.reason


def _messages(order: Order) -> Sequence[Message]:
    return [Message(role, content) for role, content in order.messages]
