"""Many rows over several servers: spread, tried again elsewhere, given up with a reason.

A row is asked of the server with the fewest rows on hand. What fails is tried again after a pause, on another server
where there is one. A server that cannot be reached, or fails several times in a row, is asked no more. So a server
that dies costs no row while another lives, and otherwise at most the rows that it had not answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import httpx

from palate.models.sampling import Sampled
from palate.models.servers.client import Server, async_client
from palate.models.servers.protocol import (
    Manner,
    Question,
    ServerFault,
    ServerGone,
    completion_request,
    read_completion,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How hard a row is tried."""

    tries: int = 4
    """Attempts a row."""
    pause_s: float = 0.5
    """Before the second attempt; it doubles with each."""
    at_once: int = 128
    """Rows on hand at one server."""
    failures: int = 4
    """In a row, after which a server is asked no more."""


class Gathered(NamedTuple):
    """What came back, in the order of the questions."""

    rows: list[Sampled | None]
    """`None` where no server gave an answer."""
    reasons: list[str]
    """Why not."""
    down: dict[str, str]
    """Servers that are asked no more, and why."""
    retries: int
    """Attempts that failed."""

    @property
    def missing(self) -> int:
        """Rows without an answer."""
        return sum(row is None for row in self.rows)


class _Round:
    """One gathering."""

    def __init__(self, servers: Sequence[Server], manner: Manner, patience: Patience, salt: str) -> None:
        self.servers = list(servers)
        self.manner, self.patience, self.salt = manner, patience, salt
        self.hands: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.retries = 0
        self.doors = {server.url: asyncio.Semaphore(patience.at_once) for server in servers}

    async def row(self, client: httpx.AsyncClient, number: int, question: Question) -> tuple[Sampled | None, str]:
        why, last = "no server is there", ""
        for attempt in range(self.patience.tries):
            server = self._choose(number, besides=last)
            if server is None:
                break
            last = server.url
            self.hands[server.url] += 1
            try:
                async with self.doors[server.url]:
                    if server.down:
                        raise ServerFault(server.down)
                    body = completion_request(server.model, question, self.manner, salt=self.salt)
                    found = read_completion(await server.ask(client, body), question, self.manner)
            except ServerFault as fault:
                why = fault.sentence
                self.retries += 1
                self._note(server, fault)
                if attempt + 1 < self.patience.tries and any(not server.down for server in self.servers):
                    await asyncio.sleep(self.patience.pause_s * 2**attempt)
            else:
                self.failed[server.url] = 0
                return found, ""
            finally:
                self.hands[server.url] -= 1
        return None, why

    def _choose(self, number: int, *, besides: str) -> Server | None:
        there = [server for server in self.servers if not server.down]
        others = [server for server in there if server.url != besides] or there
        if not others:
            return None
        turned = others[number % len(others) :] + others[: number % len(others)]
        return min(turned, key=lambda server: self.hands[server.url])

    def _note(self, server: Server, fault: ServerFault) -> None:
        self.failed[server.url] += 1
        gone = isinstance(fault, ServerGone) or self.failed[server.url] >= self.patience.failures
        if gone and not server.down:
            server.down = fault.sentence


async def _gather(
    servers: Sequence[Server], questions: Sequence[Question], manner: Manner, patience: Patience, salt: str
) -> Gathered:
    working = _Round([server for server in servers if not server.down], manner, patience, salt)
    async with async_client(max((server.timeout_s for server in servers), default=1.0)) as client:
        jobs = [working.row(client, number, question) for number, question in enumerate(questions)]
        found = await asyncio.gather(*jobs)
    down = {server.url: server.down for server in servers if server.down}
    return Gathered([row for row, _ in found], [why for _, why in found], down, working.retries)


def gather(
    servers: Sequence[Server],
    questions: Sequence[Question],
    manner: Manner,
    *,
    patience: Patience | None = None,
    salt: str = "",
) -> Gathered:
    """Have rows answered. Blocks; run it in a thread to do something else meanwhile.

    Args:
        servers: Whom to ask; those that fail are marked `down`.
        questions: The rows.
        manner: How they are answered.
        patience: How hard each is tried.
        salt: Of the prefix cache.
    """
    return asyncio.run(_gather(servers, questions, manner, patience or Patience(), salt))
