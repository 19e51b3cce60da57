"""Error answers of the raw ASGI doors: problem+json (RFC 9457)."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.ground.http.connector import Headers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CLOSE = (b"connection", b"close")
TITLES = {
    400: "The request is malformed.",
    401: "A valid access token is needed.",
    404: "There is nothing at this address.",
    405: "This method is not allowed here.",
    414: "The address is too long.",
    415: "This content coding is not accepted.",
    417: "This expectation cannot be met.",
    431: "The header fields are too large.",
    500: "Something went wrong here. Nothing was given.",
    503: "The gateway cannot do this right now. Nothing was given; try again in a moment.",
    505: "This version of HTTP is not spoken.",
}
_CODES = {
    401: "invalid_token",
    404: "not_found",
    405: "method_not_allowed",
    500: "server_error",
    503: "temporarily_unavailable",
}


async def answer(send: Send, status: int, problem: dict[str, Any], headers: Headers | None = None) -> None:
    body = json.dumps(problem, ensure_ascii=False).encode()
    fields = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *(headers or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def plain(send: Send, status: int, headers: Headers | None = None, **members: Any) -> None:
    """An error that concerns no consent: malformed, without a valid token, not found, or not possible now."""
    code = _CODES.get(status, "invalid_request")
    problem = {"type": f"/problems/{code}", "title": TITLES[status], "status": status, **members}
    await answer(send, status, problem, headers)


async def malformed(send: Send, status: int, what: str) -> None:
    """Answer a malformed request and close the connection: the next bytes on it may still belong to that request."""
    allow = [(b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")] if status == 405 else []
    await plain(send, status, [_CLOSE, *allow], detail=what)


async def unavailable(send: Send) -> None:
    await plain(send, 503, [(b"retry-after", b"5")])
