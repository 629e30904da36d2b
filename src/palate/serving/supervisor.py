"""Keeps the generator running, and hands each request its own stream of events.

The generator is a child process behind two pipes. When it dies, whoever waits for it is told so at once and it is
started again; when this process dies, the generator's input ends and it goes as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from palate.core.errors import ConfigError, PalateError
from palate.serving.orders import (
    MOST_CHOICES,
    Ended,
    Event,
    Order,
    Refused,
    Scored,
    Served,
    cancel_line,
    order_line,
    read_event,
    read_ready,
    score_line,
)

log = logging.getLogger("palate.serving")

_LINE_BYTES = 2**22
"""No event is longer."""
_CALM_S = 30.0
"""A generator that lived so long is started again without delay."""


class GeneratorError(PalateError, RuntimeError):
    """The generator cannot answer: it is gone, has too much to do, or refuses the request.

    Args:
        what: A sentence for whoever asked.
        status: HTTP status.
        code: A word that programs can compare.
        param: The field that is wrong, if one is.
    """

    def __init__(self, what: str, *, status: int = 503, code: str = "generator_away", param: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How answers are generated."""

    policies: Mapping[str, Path] = field(default_factory=dict)
    """Name to a policy artefact or a Hugging Face folder."""
    slots: int = 8
    """Answers of one policy that grow at the same time."""
    waiting: int = 64
    """Requests in all, those under way included; more are refused with 429."""
    longest: int = 2048
    """No answer has more tokens, whatever is asked for."""
    threads: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2))
    """Of the generator: half of the cores, so that pages stay quick."""
    nice: int = 10
    """How far the generator steps back behind everybody else, 0 to 19."""
    patience_s: float = 180.0
    """How long a request waits for policies that are still being loaded."""
    reward: Path | None = None
    """A reward model that scores answers for the guardrails."""

    def __post_init__(self) -> None:
        if not self.policies:
            raise ConfigError(
                "nothing is there that could answer",
                where="--policy",
                expected="a name and a folder, such as --policy mine=artefacts/policy-0123456789abcdef",
                found="no policy",
            )
        for name, folder in self.policies.items():
            if not name or not Path(folder).is_dir():
                raise ConfigError(
                    "a policy cannot be served",
                    where=f"--policy {name}={folder}",
                    expected="NAME=FOLDER with a folder that exists",
                    found="no name" if not name else "no such folder",
                )
        if self.slots < 1 or self.waiting < 1 or self.longest < 1 or self.threads < 1 or not 0 <= self.nice <= 19:
            raise ConfigError(
                "the generator is given no room",
                expected="slots, waiting, longest and threads from 1, nice from 0 to 19",
                found=f"{self.slots}, {self.waiting}, {self.longest}, {self.threads}, {self.nice}",
            )


def named(given: Sequence[str]) -> dict[str, Path]:
    """Policies from `NAME=FOLDER`.

    Raises:
        ConfigError: one has another form, or two have one name.
    """
    found: dict[str, Path] = {}
    for one in given:
        name, _, folder = one.partition("=")
        if not folder or name in found:
            raise ConfigError(
                "a policy cannot be served",
                where=f"--policy {one}",
                expected="NAME=FOLDER, each name once",
                found="the same name twice" if name in found else "no folder",
            )
        found[name] = Path(folder).absolute()
    return found


class Generator:
    """The generator as the web process sees it. Used within one event loop.

    Args:
        settings: How it is run.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.served: dict[str, Served] = {}
        """Name to policy, once they are loaded; what was loaded stays known through a restart."""
        self.problem = ""
        """Why the policies cannot be loaded."""
        self.starts = 0
        """How often it was started."""
        self._streams: dict[str, asyncio.Queue[Event | GeneratorError]] = {}
        self._sent: set[str] = set()
        """Orders that this life of the process knows of."""
        self._scores: dict[str, asyncio.Future[float]] = {}
        """Scores that are waited for."""
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def is_ready(self) -> bool:
        """Whether the policies are loaded."""
        return self._ready.is_set()

    @property
    def under_way(self) -> int:
        """Requests that wait for it or are being answered."""
        return len(self._streams)

    async def start(self) -> None:
        """Start it, and see to it that it keeps running. Does not wait for the policies."""
        self._keeper = asyncio.create_task(self._keep(), name="generator")

    async def close(self) -> None:
        """End it."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self._lose()

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        """The events of an order, until all its answers are over. Whoever stops reading cancels it.

        Raises:
            GeneratorError: there is too much to do, the order cannot be done, or the generator went away.
        """
        if len(self._streams) >= self.settings.waiting:
            raise GeneratorError(
                "Too many answers are being written already. Try again in a moment.", status=429, code="busy"
            )
        if order.n > self.settings.slots:
            raise GeneratorError(
                f"This server writes at most {self.settings.slots} answers at a time.",
                status=400,
                code="too_many_answers",
                param="n",
            )
        stream: asyncio.Queue[Event | GeneratorError] = asyncio.Queue()
        self._streams[order.id] = stream
        left = set(range(order.n))
        try:
            await self._wait_until_ready()
            self._sent.add(order.id)
            self._send(order_line(order))
            while left:
                event = await stream.get()
                if isinstance(event, GeneratorError):
                    left.clear()
                    raise event
                if isinstance(event, Refused):
                    left.clear()
                    raise GeneratorError(event.message, status=event.status, code=event.code, param=event.param)
                if isinstance(event, Ended):
                    if event.choice not in left:
                        continue  # it was stopped and ended by itself at once
                    left.remove(event.choice)
                yield event
        finally:
            del self._streams[order.id]
            self._sent.discard(order.id)
            if left:
                self._send(cancel_line(order.id))

    def stop(self, order: str) -> bool:
        """End an order's answers where they are, as if a limit had cut them off; whether it was under way."""
        stream = self._streams.get(order)
        if stream is None or order not in self._sent:
            return False
        self._send(cancel_line(order))
        for choice in range(MOST_CHOICES):
            stream.put_nowait(Ended(choice, "length", 0))
        return True

    async def score(self, messages: tuple[tuple[str, str], ...], text: str, *, patience_s: float) -> float:
        """The reward model's score of an answer to a conversation.

        Raises:
            GeneratorError: there is no reward model, it cannot read this, or there is no score in time.
        """
        await self._wait_until_ready()
        id = f"score.{secrets.token_hex(12)}"
        self._scores[id] = asyncio.get_running_loop().create_future()
        self._send(score_line(id, messages, text))
        try:
            return await asyncio.wait_for(self._scores[id], patience_s)
        except TimeoutError:
            raise GeneratorError(f"There was no score within {patience_s:g} s.", code="score_late") from None
        finally:
            del self._scores[id]

    async def _wait_until_ready(self) -> None:
        self._refuse_if_broken()
        try:
            await asyncio.wait_for(self._ready.wait(), self.settings.patience_s)
        except TimeoutError:
            raise GeneratorError(
                "The model is still being loaded. Try again in a minute.", code="model_loading"
            ) from None
        self._refuse_if_broken()

    def _refuse_if_broken(self) -> None:
        if self.problem:
            # The problem itself names folders, which are no business of whoever asks.
            raise GeneratorError("The model cannot be loaded. The server's log says why.", code="model_not_loaded")

    def _send(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def _keep(self) -> None:
        """Start it again whenever it ends."""
        delay = 0.0
        while True:
            await asyncio.sleep(delay)
            began = time.monotonic()
            try:
                status = await self._live()
            except OSError as error:
                status = -1
                self._give_up(f"it cannot be started: {error}")
            self._lose()
            if self._closing:
                return
            delay = 0.5 if time.monotonic() - began > _CALM_S else min(30.0, max(0.5, 2 * delay))
            log.warning("the generator ended with status %s; it is started again in %.1f s", status, delay)

    async def _live(self) -> int:
        """One life of the process, from its start to its end."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "palate.serving.generator",
            *self._arguments(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,  # a Ctrl-C at the terminal is for the server, which lets answers end first
            env={**os.environ, "OMP_NUM_THREADS": str(self.settings.threads), "TOKENIZERS_PARALLELISM": "false"},
        )
        self.starts += 1
        try:
            assert self._process.stdout is not None
            # A line without its end was cut off by a crash.
            while (line := await self._process.stdout.readline()).endswith(b"\n"):
                self._hear(json.loads(line))
            return await self._process.wait()
        finally:
            await self._end()

    async def _end(self) -> None:
        process = self._process
        self._ready.clear()
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 2.0)
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _arguments(self) -> list[str]:
        settings = self.settings
        named = [f"--policy={name}={Path(folder).resolve()}" for name, folder in settings.policies.items()]
        numbers = ("slots", "longest", "threads", "nice")
        reward = [f"--reward={Path(settings.reward).resolve()}"] if settings.reward is not None else []
        return [*named, *reward, *(f"--{name}={getattr(settings, name)}" for name in numbers)]

    def _hear(self, fields: dict[str, object]) -> None:
        if fields["event"] == "ready":
            self.served = {one.name: one for one in read_ready(fields)}
            self.problem = ""
            self._ready.set()
        elif fields["event"] == "failed":
            self._give_up(str(fields["of"]))
        elif (waiting := self._scores.get(str(fields["id"]))) is not None:
            _settle(waiting, read_event(fields))
        elif (stream := self._streams.get(str(fields["id"]))) is not None:
            stream.put_nowait(read_event(fields))

    def _give_up(self, problem: str) -> None:
        """It is tried again, but nobody waits for that."""
        self.problem = problem
        log.error("the policies cannot be loaded: %s", problem)
        self._ready.set()

    def _lose(self) -> None:
        """Tell everybody whose order is lost. Those who wait for its start wait on."""
        error = GeneratorError(
            "The generator stopped while this answer was being written; it is being started again. Send the request "
            "again in a moment.",
            code="generator_restarted",
        )
        for order in self._sent:
            self._streams[order].put_nowait(error)
        self._sent.clear()
        for waiting in self._scores.values():
            if not waiting.done():
                waiting.set_exception(error)


def _settle(waiting: asyncio.Future[float], event: Event) -> None:
    """Give a score, or why there is none, to whoever waits for it."""
    if waiting.done():
        return
    if isinstance(event, Scored):
        waiting.set_result(event.score)
    else:
        said = event.message if isinstance(event, Refused) else f"{type(event).__name__} is no score"
        waiting.set_exception(GeneratorError(said, code="no_score"))
