"""Two answers as one: each under its number, and when one goes wrong the other is not left behind."""

import asyncio
from contextlib import aclosing

import pytest

from palate.guardrails.decisions import Decision
from palate.serving.answering import Collected
from palate.serving.duel import Duel
from palate.serving.orders import Ended, Piece, Started
from palate.serving.supervisor import GeneratorError


class Part:
    """An answer that takes its time."""

    def __init__(self, words, delay, fails=False, decision=None, policy="one"):
        self.words, self.delay, self.fails = words, delay, fails
        self.collected = Collected(policy=policy)
        if decision:
            self.collected.decisions[0] = decision
            self.collected.withheld[0] = "what was written"
        self.closed = False

    async def events(self):
        try:
            yield Started(7, 10, self.collected.policy)
            for word in self.words:
                await asyncio.sleep(self.delay)
                yield Piece(0, word)
            if self.fails:
                raise GeneratorError("gone")
            yield Ended(0, "stop", len(self.words))
        finally:
            self.closed = True


def heard(duel, most=1000):
    async def read():
        found = []
        async with aclosing(duel.events()) as events:
            async for event in events:
                found.append(event)
                if len(found) == most:
                    break
        return found

    return asyncio.run(read())


def test_both_are_heard_at_the_same_time_and_whole():
    decision = Decision(side="output", action="pass", text="")
    parts = Part("abc", 0.01), Part("xyz", 0.011, decision=decision, policy="other")
    duel = Duel(parts)
    found = heard(duel)
    assert sum(isinstance(event, Started) for event in found) == 1
    pieces = [event.choice for event in found if isinstance(event, Piece)]
    assert sorted(pieces) == [0, 0, 0, 1, 1, 1]
    assert pieces != sorted(pieces)
    assert (duel.collected.texts, duel.collected.reasons) == (["abc", "xyz"], ["stop", "stop"])
    assert duel.collected.policies == {0: "one", 1: "other"}
    assert duel.collected.policy == "one"
    assert duel.collected.decisions == {1: decision}
    assert duel.collected.withheld == {1: "what was written"}


def test_when_one_fails_the_other_is_closed():
    parts = Part("a", 0.01, fails=True), Part("xyz" * 100, 0.01)
    with pytest.raises(GeneratorError, match="gone"):
        heard(Duel(parts))
    assert all(part.closed for part in parts)


def test_whoever_stops_reading_closes_both():
    parts = Part("abc" * 100, 0.01), Part("xyz" * 100, 0.01)
    duel = Duel(parts)
    assert len(heard(duel, most=3)) == 3
    assert all(part.closed for part in parts)
