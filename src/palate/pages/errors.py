"""What went wrong, said in the form that the asker can read: one JSON shape for programs, a page for people.

Programs (`/v1`, `/api`, and calls that a page's script makes) get
`{"error": {"message": …, "type": …, "param": …, "code": …}}`, the shape that clients of chat servers know.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from palate.core.errors import ConfigError, DataError, PalateError, StoreError
from palate.pages import templates

log = logging.getLogger("palate.pages")

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


class Refusal(Exception):
    """A request that is refused, with a sentence for whoever sent it.

    Args:
        status: HTTP status.
        message: A sentence.
        code: A word that programs can compare, such as `lease_lost`.
        param: The field that is wrong, if one is.
        headers: To send along, such as `Retry-After`.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}


class NotLoggedIn(Refusal):
    """Nobody is logged in, or the session has ended; a page sends people to the login and back."""

    def __init__(self, message: str = "You are not logged in, or your session has ended.") -> None:
        super().__init__(401, message, code="not_logged_in")


def body(message: str, status: int, *, code: str = "", param: str = "") -> dict[str, object]:
    """The one JSON shape."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code or None}}


def wants_json(request: Request) -> bool:
    """Whether a program asks: by path, or because a page's script says so."""
    path = request.url.path
    if path.startswith(("/v1", "/api", "/messages/")):
        return True
    return "application/json" in request.headers.get("accept", "")


def answer(request: Request, refusal: Refusal) -> Response:
    """The refusal in the form that the asker can read."""
    if wants_json(request):
        shape = body(refusal.message, refusal.status, code=refusal.code, param=refusal.param)
        return JSONResponse(shape, refusal.status, headers=refusal.headers)
    if isinstance(refusal, NotLoggedIn):
        # Only a page that was asked for by GET can be gone back to.
        back = f"?next={templates.quoted(request.url.path)}" if request.method == "GET" else ""
        return RedirectResponse(f"/login{back}", 303)
    title = HTTPStatus(refusal.status).phrase
    page = templates.render(
        request, "error.html", status=refusal.status, title=title, message=refusal.message, signed_in=_name(request)
    )
    page.status_code = refusal.status
    page.headers.update(refusal.headers)
    return page


def install(app: FastAPI) -> None:
    """Let every failure, also an unknown path or method, end in `answer`."""

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return answer(request, error)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        sentences = {
            404: f"There is nothing at {request.url.path}.",
            405: f"{request.url.path} does not take {request.method}.",
        }
        default = str(HTTPStatus(error.status_code).phrase)
        said = str(error.detail) if error.detail and error.detail != default else ""
        message = said or sentences.get(error.status_code, default)
        return answer(request, Refusal(error.status_code, message, headers=dict(error.headers or {})))

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0] if error.errors() else {"loc": (), "msg": "is not what was expected"}
        place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
        where = ".".join(place)
        message = f"{where or 'The request'}: {str(first['msg']).removeprefix('Value error, ')}"
        # Clients of chat servers expect 400 for a bad parameter.
        return answer(request, Refusal(400, message, code="invalid_request", param=where))

    def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, PalateError)
        known = isinstance(error, (DataError, ConfigError, FileNotFoundError))
        status = 400 if known else 503 if isinstance(error, StoreError) else 500
        if status >= 500:
            log.error("%s %s: %s", request.method, request.url.path, error)
        return answer(request, Refusal(status, sentence(error), code="refused"))

    def unexpected(request: Request, error: Exception) -> Response:
        # The traceback goes to the log; a page must not tell strangers how the house is built.
        return answer(request, Refusal(500, "Something went wrong on our side. It has been written to the log."))

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(PalateError, own)
    app.add_exception_handler(Exception, unexpected)


def sentence(error: PalateError) -> str:
    """An error in one line: what, what was expected, what was found, what to do."""
    parts = [error.what[:1].upper() + error.what[1:]]
    if error.expected:
        parts.append(f"expected {error.expected}")
    if error.found:
        parts.append(f"found {error.found}")
    text = "; ".join(parts) + "."
    return f"{text} {error.hint[:1].upper()}{error.hint[1:]}." if error.hint else text


def _name(request: Request) -> str:
    account = getattr(request.state, "account", None)
    return account.name if account is not None else ""
