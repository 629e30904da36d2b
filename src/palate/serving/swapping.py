"""What answers now, and what takes over from it without an answer being cut off.

A `Line` is one generator with the names that it answers to. When a name moves to another policy, a second generator
loads what is wanted beside the first, which goes on streaming; once it is ready, new orders go to it, and the first one
is closed when its last answer has ended. What cannot be loaded changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from palate.guardrails.guard import Guardrails
from palate.serving.orders import Event, Order, Served
from palate.serving.supervisor import Generator, GeneratorError, Settings

log = logging.getLogger("palate.serving")

LINGER_S: Final = 60.0
"""How long a policy waits for the one before the last to end its answers, before a third is loaded beside the two."""
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to answer, under which names."""

    policies: Mapping[str, Path]
    """Key to folder. Two names of one policy share a key, so that it is loaded once."""
    names: Mapping[str, str]
    """Name to key, the first one answers where nobody names any."""
    guards: Mapping[str, Guardrails | None] = field(default_factory=dict)
    """Name to the guardrails that look at its answers."""
    reward: Path | None = None
    """A reward model that scores answers for the guardrails."""
    releases: Mapping[str, str] = field(default_factory=dict)
    """Name to release; a policy that is served as a folder has none."""


def fixed(settings: Settings, guard: Guardrails | None = None) -> Wanted:
    """Policies under names that nobody moves."""
    names = {name: name for name in settings.policies}
    guards = dict.fromkeys(names, guard)
    return Wanted(policies=settings.policies, names=names, guards=guards, reward=settings.reward)


class Line:
    """A generator, and what it is asked for under which name.

    Args:
        generator: Has the policies of `wanted`, and perhaps others.
        wanted: What is to answer.
    """

    def __init__(self, generator: Generator, wanted: Wanted) -> None:
        self.generator = generator
        self.wanted = wanted
        folders = {name: wanted.policies[key] for name, key in wanted.names.items()}
        self.settings = replace(generator.settings, policies=folders)
        """As if each name were a policy of its own."""

    @property
    def served(self) -> dict[str, Served]:
        """Name to policy, once they are loaded."""
        known = self.generator.served
        return {name: known[key]._replace(name=name) for name, key in self.wanted.names.items() if key in known}

    def guard(self, name: str = "") -> Guardrails | None:
        """The guardrails over what answers under a name, "" the first."""
        return self.wanted.guards.get(name or next(iter(self.wanted.names)))

    def answer(self, order: Order) -> AsyncIterator[Event]:
        """The events of an order, see `Generator.answer`.

        Raises:
            GeneratorError: nothing has this name any more.
        """
        key = self.wanted.names.get(order.policy)
        if key is None:
            raise GeneratorError(
                f"There is no model `{order.policy}` here.", status=404, code="model_not_found", param="model"
            )
        return self.generator.answer(replace(order, policy=key))

    async def score(self, messages: tuple[tuple[str, str], ...], text: str, *, patience_s: float) -> float:
        """The reward model's score, see `Generator.score`."""
        return await self.generator.score(messages, text, patience_s=patience_s)


class State(NamedTuple):
    """What is going on, for those who run this."""

    served: Mapping[str, str]
    """Name to the id of the policy that answers now; "" while it is being loaded for the first time."""
    releases: Mapping[str, str]
    """Name to release, as it answers now."""
    loading: Mapping[str, str]
    """Name to the release that it is to have, while that is being loaded."""
    problem: str
    """Why the last change was not made; "" if it was."""
    since: str
    """UTC, ISO 8601: when that which answers now began to."""
    ending: int
    """Answers that policies from before are still writing."""


class Swapping:
    """One generator or two, with the face of one. Used within one event loop.

    Args:
        settings: How generators are run; which policies, `wanted` says.
        wanted: What is to answer at first.
    """

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self.now = Line(self._made(wanted), wanted)
        """What answers. A request that began on a line stays on it."""
        self._ending: dict[Generator, asyncio.Task[None]] = {}
        """Those from before, until their last answer."""
        self._entered: dict[Generator, int] = {}
        """Requests that have chosen a generator, and no place in it yet."""
        self._coming: Wanted | None = None
        self.problem = ""
        """Why the last change was not made."""
        self.since = _now()

    @property
    def settings(self) -> Settings:
        """As of one generator: name to folder, and the rest."""
        return self.now.settings

    @property
    def served(self) -> dict[str, Served]:
        """Name to policy, once they are loaded."""
        return self.now.served

    @property
    def is_ready(self) -> bool:
        """Whether what answers now is loaded."""
        return self.now.generator.is_ready

    @property
    def under_way(self) -> int:
        """Requests that wait or are being answered, on every line."""
        return sum(one.under_way for one in (self.now.generator, *self._ending))

    @property
    def state(self) -> State:
        """What is going on."""
        line, coming, known = self.now, self._coming, self.now.served
        return State(
            {name: known[name].id if name in known else "" for name in line.wanted.names},
            line.wanted.releases,
            dict(coming.releases) if coming else {},
            self.problem or line.generator.problem,
            self.since,
            sum(one.under_way for one in self._ending),
        )

    async def start(self) -> None:
        """Start what answers at first. Does not wait for it."""
        await self.now.generator.start()

    async def close(self) -> None:
        """End them all, and what is being written with them."""
        for task in self._ending.values():
            task.cancel()
        for one in (self.now.generator, *self._ending):
            await one.close()
        self._ending.clear()

    @contextmanager
    def entering(self) -> Iterator[Line]:
        """The line that answers now, kept open until an order has its place in it."""
        line = self.now
        self._entered[line.generator] = self._entered.get(line.generator, 0) + 1
        try:
            yield line
        finally:
            self._entered[line.generator] -= 1
            if not self._entered[line.generator]:
                del self._entered[line.generator]

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        """The events of an order, by what answers when it begins, see `Generator.answer`."""
        with self.entering() as line:
            async with aclosing(line.answer(order)) as events:  # type: ignore[type-var]
                async for event in events:
                    yield event

    async def score(self, messages: tuple[tuple[str, str], ...], text: str, *, patience_s: float) -> float:
        """The reward model's score, see `Generator.score`."""
        return await self.now.score(messages, text, patience_s=patience_s)

    def stop(self, order: str) -> bool:
        """End an order's answers where they are, see `Generator.stop`, whichever line writes them."""
        return any(one.stop(order) for one in (self.now.generator, *self._ending))

    async def swap(self, wanted: Wanted) -> None:
        """Let this answer from now on; returns when it does. Cancelling it leaves everything as it was.

        Raises:
            GeneratorError: it cannot be loaded; what answered goes on.
        """
        self._coming, self.problem = wanted, ""
        try:
            found = next((one for one in (self.now.generator, *self._ending) if _has(one, wanted)), None)
            generator = await self._load(wanted) if found is None else found
            self._take(generator, Line(generator, wanted))
        except GeneratorError as error:
            self.problem = str(error)
            raise
        finally:
            self._coming = None

    def failed(self, problem: str) -> None:
        """A change cannot even be tried."""
        self.problem = problem

    def _made(self, wanted: Wanted) -> Generator:
        return Generator(replace(self._settings, policies=dict(wanted.policies), reward=wanted.reward))

    async def _load(self, wanted: Wanted) -> Generator:
        if self._ending:
            log.info("policies from before still write; a third is not loaded beside two for %.0f s", LINGER_S)
            await asyncio.wait(self._ending.values(), timeout=LINGER_S)
        made = self._made(wanted)
        await made.start()
        try:
            while not made.is_ready:
                await asyncio.sleep(_LOOK_S)
            if made.problem:
                raise GeneratorError(made.problem, code="model_not_loaded")
        except BaseException:
            await made.close()
            raise
        return made

    def _take(self, generator: Generator, line: Line) -> None:
        """From here on new orders go to this line; there is no `await` in it."""
        before, self.now, self.since = self.now, line, _now()
        if (task := self._ending.pop(generator, None)) is not None:
            task.cancel()
        if before.generator is not generator:
            self._ending[before.generator] = asyncio.create_task(self._end(before.generator), name="ending")
        told = ", ".join(f"{name} = {one.id}" for name, one in line.served.items())
        log.info("%s answers now; %d answers are still written by what did before", told, before.generator.under_way)

    async def _end(self, generator: Generator) -> None:
        """Close it after its last answer."""
        while generator.under_way or generator in self._entered:
            await asyncio.sleep(_LOOK_S)
        del self._ending[generator]
        await asyncio.shield(generator.close())


def _has(generator: Generator, wanted: Wanted) -> bool:
    """Whether it has loaded all that is wanted."""
    settings = generator.settings
    there = all(settings.policies.get(key) == folder for key, folder in wanted.policies.items())
    return there and settings.reward == wanted.reward and generator.is_ready and not generator.problem


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
