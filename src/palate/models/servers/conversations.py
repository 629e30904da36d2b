"""Any server that speaks `POST /v1/chat/completions`: conversations in, replies out, many at once.

What fails for a moment (a full queue, a restart, a dropped connection) is asked again, later each time; what fails
for good is an error beside the row it belongs to, and never an empty answer.

Source: OpenAI API reference, "Create chat completion"; `Retry-After`: RFC 9110, 10.2.3.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import httpx

from palate.core.errors import ConfigError
from palate.core.records import Prompt

KEY: Final = "PALATE_ENDPOINT_KEY"
"""Environment variable with the server's API key; it is sent, and never written down."""
_PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CONNECT_S: Final = 10.0
_GARBLED: Final = "the reply is no chat completion"
"""Begins an error that may pass: half a reply, or a page of some machine in between."""
_LONGEST_WAIT_S: Final = 60.0


class _Garbled(Exception):
    """What came with a good status cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model answers, and how it is asked."""

    url: str
    """Up to and with `/v1`, such as `https://api.example.com/v1`."""
    model: str = ""
    """What the server calls it; the first it lists when empty."""
    temperature: float = 0.0
    max_tokens: int = 512
    at_once: int = 8
    """Requests in flight at most."""
    attempts: int = 5
    """Times a request is sent at most."""
    first_wait_s: float = 0.5
    """Before the second attempt; doubled before each further one."""
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        parsed = httpx.URL(self.url) if "://" in self.url else None
        if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError(
                "an endpoint cannot be used", expected="an address such as http://localhost:8000/v1", found=self.url
            )
        if parsed.userinfo or parsed.query or parsed.fragment:
            # The address stands in reports and manifests.
            raise ConfigError(
                "an endpoint's address holds more than a place",
                expected="neither a name and password, nor a query, nor a fragment",
                found=f"{parsed.scheme}://{parsed.netloc.decode().rpartition('@')[2]}{parsed.path} and more",
                hint=f"a key goes into the environment variable {KEY}",
            )
        if min(self.at_once, self.attempts, self.max_tokens) < 1:
            raise ConfigError(
                "an endpoint cannot be asked like this",
                expected="at_once, attempts and max_tokens of 1 or more",
                found=f"{self.at_once}, {self.attempts}, {self.max_tokens}",
            )


class Reply(NamedTuple):
    """What came back for one conversation."""

    text: str
    finished: bool
    """False when the length limit cut it off."""
    error: str
    """Why nothing came; empty where something did."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """As the server counts them; 0 where it does not say."""
    likely: Mapping[str, float] = {}
    """Log-probabilities of the first token's alternatives, where they were asked for and given."""


def ask(
    endpoint: Endpoint,
    prompts: Sequence[Prompt],
    *,
    seed: int | None = None,
    alternatives: int = 0,
    report: Callable[[int], None] | None = None,
) -> list[Reply]:
    """One reply a conversation, in their order.

    Args:
        endpoint: Who is asked.
        prompts: Conversations that wait for the assistant.
        seed: Row `i` is asked with `seed + i`; servers may ignore it. None sends none.
        alternatives: So many likely first tokens with their log-probabilities; 0 asks for none.
        report: Called with the number of replies there are.

    Raises:
        ConfigError: the server is there and lists no model, or cannot be reached at all.
    """
    return asyncio.run(_ask(endpoint, prompts, seed, alternatives, report))


async def _ask(
    endpoint: Endpoint,
    prompts: Sequence[Prompt],
    seed: int | None,
    alternatives: int,
    report: Callable[[int], None] | None,
) -> list[Reply]:
    async with _client(endpoint) as client:
        model = endpoint.model or await _first_model(client, endpoint)
        gate, done, anybody = asyncio.Semaphore(endpoint.at_once), 0, False

        async def one(number: int) -> Reply:
            nonlocal done, anybody
            body: dict[str, Any] = {
                "model": model,
                "messages": prompts[number].as_dicts(),
                "temperature": endpoint.temperature,
                "max_tokens": endpoint.max_tokens,
            }
            if seed is not None:
                body["seed"] = seed + number
            if alternatives:
                body |= {"logprobs": True, "top_logprobs": alternatives}
            async with gate:
                reply, there = await _persist(client, endpoint, body)
            anybody |= there
            if not anybody:  # nor will there be for the others
                raise ConfigError(
                    "nobody answers at an address",
                    where=endpoint.url,
                    expected="a server that speaks the OpenAI API",
                    found=f"{reply.error}, {endpoint.attempts} times",
                )
            done += 1
            if report is not None:
                report(done)
            return reply

        return list(await asyncio.gather(*(one(number) for number in range(len(prompts)))))


def named(endpoint: Endpoint) -> Endpoint:
    """The same with the model's name, asked of the server where nobody gave it.

    Raises:
        ConfigError: the server lists no model, or cannot be reached.
    """

    async def first() -> str:
        async with _client(endpoint) as client:
            return await _first_model(client, endpoint)

    return endpoint if endpoint.model else replace(endpoint, model=asyncio.run(first()))


def _client(endpoint: Endpoint) -> httpx.AsyncClient:
    key = os.environ.get(KEY, "")
    timeout = httpx.Timeout(endpoint.timeout_s, connect=_CONNECT_S, pool=None)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    safe = httpx.URL(endpoint.url).scheme == "https"  # to read certificates takes longer than to ask
    return httpx.AsyncClient(timeout=timeout, headers=headers, verify=safe)


async def _first_model(client: httpx.AsyncClient, endpoint: Endpoint) -> str:
    where = f"{endpoint.url.rstrip('/')}/models"
    try:
        response = await client.get(where)
        return str(response.json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            "an endpoint lists no model",
            where=where,
            expected="a server that speaks the OpenAI API, or the name of a model on it",
            found=f"{type(error).__name__} {error}".strip()[:200],
        ) from error


async def _persist(client: httpx.AsyncClient, endpoint: Endpoint, body: Mapping[str, Any]) -> tuple[Reply, bool]:
    """`(reply, somebody is there)`."""
    wait_s, said, there = endpoint.first_wait_s, "", False
    for attempt in range(endpoint.attempts):
        asked_s = wait_s
        try:
            response = await client.post(f"{endpoint.url.rstrip('/')}/chat/completions", json=body)
            there = True
            if response.status_code == httpx.codes.OK:
                reply = _read(response)
                if not reply.error.startswith(_GARBLED):
                    return reply, there
                raise _Garbled(reply.error)
            said = f"{response.status_code} {response.text.strip()[:200]}"
            if response.status_code not in _PASSING:
                break
            asked_s = _retry_after(response, wait_s)
        except _Garbled as error:
            said = str(error)
        except httpx.HTTPError as error:
            there |= not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            said = f"{type(error).__name__} {error}".strip()
        if attempt + 1 < endpoint.attempts:
            await asyncio.sleep(min(asked_s, _LONGEST_WAIT_S))
            wait_s *= 2
    return Reply("", finished=False, error=said), there


def _retry_after(response: httpx.Response, otherwise_s: float) -> float:
    """What the server asks for in seconds; a date, or anything else, does not count."""
    try:
        asked_s = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return otherwise_s
    return asked_s if asked_s >= 0 else otherwise_s


def _read(response: httpx.Response) -> Reply:
    try:
        told = response.json()
        choice = told["choices"][0]
        text = choice["message"]["content"]
        usage = told.get("usage") or {}
        if not isinstance(text, str):
            return Reply("", finished=False, error=f"the reply holds no text: {str(choice)[:160]}")
        return Reply(
            text,
            finished=choice.get("finish_reason") != "length",
            error="",
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            likely=_likely(choice),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Reply("", finished=False, error=f"{_GARBLED}: {type(error).__name__} {error}")


def _likely(choice: Mapping[str, Any]) -> Mapping[str, float]:
    tokens = (choice.get("logprobs") or {}).get("content") or []
    found: dict[str, float] = {}
    for row in tokens[0].get("top_logprobs", []) if tokens else []:
        found.setdefault(str(row["token"]), float(row["logprob"]))
    return found
