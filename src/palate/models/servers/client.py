"""One vLLM server: where it is, what it serves, and whether it can be asked.

Rows are asked with asyncio, many at once (a server batches them itself); control routes one at a time.
The routes of weight transfer, pause and `collective_rpc` exist only under `VLLM_SERVER_DEV_MODE=1`.
"""

from __future__ import annotations

import functools
import json
import os
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from palate.core.errors import ConfigError
from palate.models.servers.protocol import ServerFault, ServerGone

KEY = "PALATE_SERVER_KEY"
"""Environment variable with the servers' API key; it is sent, and never written down."""
_CONNECT_S = 10.0


class Server:
    """A server, and what is known of it.

    Args:
        url: Such as `http://gpu-7:8000`.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, *, timeout_s: float = 600.0) -> None:
        self.url = _checked(url)
        self.timeout_s = timeout_s
        self.model = ""
        """What it calls its model; known once it was greeted."""
        self.down = ""
        """Why nobody asks it any more; empty while it can be asked."""
        self.knows_transfer = False
        """Its weight-transfer engine was initialised."""
        self.version = -1
        """Which weights it has; -1 before any were sent."""

    def greet(self) -> None:
        """Learn what it serves.

        Raises:
            ServerFault: it cannot be reached, or is no vLLM server.
        """
        told = self.get("/v1/models")
        try:
            self.model = str(told["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise ServerFault("a server lists no model", where=self.url, expected="a vLLM server") from error
        self.down = ""

    def get(self, path: str, *, timeout_s: float = 30.0) -> Any:
        """A control route that only tells."""
        return self._call("GET", path, None, timeout_s)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> Any:
        """A control route that does something."""
        return self._call("POST", path, body, timeout_s or self.timeout_s)

    def knows(self, path: str) -> bool:
        """Whether it has a GET route."""
        try:
            self.get(path)
        except ServerFault:
            return False
        return True

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float) -> Any:
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        try:
            # A connection of its own: one that was kept may have died with a server that is back by now.
            with httpx.Client(timeout=timeout, headers=_headers(), verify=_certificates(), trust_env=False) as client:
                return self._read(client.request(method, self.url + path, json=body), path)
        except httpx.HTTPError as error:
            raise self.fault(error, path) from error

    async def ask(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> Any:
        """One completion; what comes back is JSON, and not yet believed.

        Raises:
            ServerFault: nothing came back, or no JSON.
        """
        try:
            return self._read(await client.post(self.url + "/v1/completions", json=body), "/v1/completions")
        except httpx.HTTPError as error:
            raise self.fault(error, "/v1/completions") from error

    def fault(self, error: Exception, path: str) -> ServerFault:
        """A transport's error in words."""
        if isinstance(error, httpx.ConnectError):
            return ServerGone("a server cannot be reached", where=self.url + path, found=type(error).__name__)
        if isinstance(error, httpx.TimeoutException):
            what = "a server does not answer in time"
        else:
            what = "a server dropped the connection"
        return ServerFault(what, where=self.url + path, found=type(error).__name__)

    def _read(self, response: httpx.Response, path: str) -> Any:
        if response.status_code != httpx.codes.OK:
            raise ServerFault(
                f"a server answered {response.status_code}",
                where=self.url + path,
                found=response.text.strip().replace("\n", " ")[:200],
                hint="start it with VLLM_SERVER_DEV_MODE=1" if response.status_code == httpx.codes.NOT_FOUND else "",
            )
        if not response.content:
            return None
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ServerFault(
                "a server's answer is no JSON", where=self.url + path, found=response.text[-60:]
            ) from error


def async_client(timeout_s: float) -> httpx.AsyncClient:
    """A client for many rows at once; how many is decided elsewhere."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        headers=_headers(),
        verify=_certificates(),
        trust_env=False,
    )


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes longer than most requests."""
    return ssl.create_default_context()


def _headers() -> dict[str, str]:
    key = os.environ.get(KEY, "")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _checked(url: str) -> str:
    parsed = httpx.URL(url) if "://" in url else None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError("--server cannot be used", expected="an address such as http://localhost:8000", found=url)
    return url.rstrip("/")
