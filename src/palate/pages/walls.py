"""What every request passes before any page sees it: size, origin, and the headers of every reply.

Plain ASGI, so that a stream stays a stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp

from palate.pages.errors import Refusal, answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
"""No inline script or style, nothing from elsewhere, no frame around us."""
SAFE = ("GET", "HEAD", "OPTIONS")
BEARER = ("/v1/", "/api/", "/messages/")
"""Paths where a token in a header speaks and cookies are not looked at."""


def by_token(path: str) -> bool:
    """Whether a path belongs to programs, which send a bearer token and no cookie."""
    return path.startswith(BEARER)


class ReplyHeaders:
    """Puts the headers that keep a browser from being talked into things on every reply."""

    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        self.app = app
        self.https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        static = str(scope["path"]).startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
                # A page holds what only this person may read; a file is asked for anew and mostly unchanged.
                headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
                if self.https:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self.app(scope, receive, with_headers)


class BodyLimit:
    """Refuses a body that is too long, by what it says of itself and by what then comes."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdecimal() or int(said) > self.limit_bytes:
            await self._refuse(scope, receive, send)
            return
        came, started = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            # Whoever reads the body gets no more of it; what they make of that is not sent.
            return message if came <= self.limit_bytes else {"type": "http.disconnect"}

        async def noted(message: Message) -> None:
            nonlocal started
            if started or came <= self.limit_bytes:
                started = True
                await send(message)

        try:
            await self.app(scope, counted, noted)
        except Exception:
            if started or came <= self.limit_bytes:
                raise
        if came > self.limit_bytes and not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"The request is longer than the {self.limit_bytes // 1024} KiB that are taken here."
        reply = answer(Request(scope), Refusal(413, message, code="too_long"))
        reply.headers["Connection"] = "close"
        await reply(scope, receive, send)


class SameOrigin:
    """Refuses a request that changes something and comes from another site's page.

    A browser says where a request comes from in `Sec-Fetch-Site` and `Origin`; a page cannot forge either. Requests
    with a bearer token are left alone: no browser adds that token by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["method"] not in SAFE and not by_token(scope["path"]):
            headers = Headers(scope=scope)
            if not _same_site(headers):
                refusal = Refusal(403, "This request came from another site and was refused.", code="cross_site")
                await answer(Request(scope), refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _same_site(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
