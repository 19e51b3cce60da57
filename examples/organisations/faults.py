"""The ways an organisation fails, on demand. Only with --faults, only for tests.

POST /_fault {"mode": "slow", "seconds": 20}    from now on; {"mode": "none"} ends it
"""

import asyncio
import json
from typing import Any

MODES = ("none", "down", "slow", "html", "truncated", "oversized", "wrong_type", "redirect", "trickle")
_LIMIT = 4096
_HTML = b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"


class Faults:
    """An ASGI app around another. `prefix` says which paths fail unless the fault names its own."""

    def __init__(self, app: Any, prefix: str) -> None:
        self.app = app
        self.prefix = prefix
        self.fault: dict[str, Any] = {"mode": "none"}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == "/_fault" and scope["method"] == "POST":
            await self._set(receive, send)
        elif self.fault["mode"] == "none" or not scope["path"].startswith(self.fault.get("prefix", self.prefix)):
            await self.app(scope, receive, send)
        else:
            await getattr(self, "_" + self.fault["mode"])(scope, receive, send)

    async def _set(self, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > _LIMIT:
                break
        try:
            fault = json.loads(body)
            known = fault["mode"] in MODES
        except (ValueError, KeyError, TypeError):
            known = False
        if known:
            self.fault = fault
        await _answer(send, 204 if known else 400, b"text/plain", b"" if known else b"unknown mode")

    async def _down(self, scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, 503, b"text/plain", b"down")

    async def _slow(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(float(self.fault.get("seconds", 20)))
        await self.app(scope, receive, send)

    async def _html(self, scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, 200, b"text/html; charset=utf-8", _HTML)

    async def _redirect(self, scope: Any, receive: Any, send: Any) -> None:
        location = str(self.fault.get("location", "http://127.0.0.1:9/")).encode()
        await _answer(send, 302, b"text/plain", b"", (b"location", location))

    async def _truncated(self, scope: Any, receive: Any, send: Any) -> None:
        """Half the body under the whole body's Content-Length: the connection ends before the answer does."""
        status, kind, body = await self._whole(scope, receive)
        await _answer(send, status, kind, body[: len(body) // 2], length=len(body))

    async def _wrong_type(self, scope: Any, receive: Any, send: Any) -> None:
        status, _, body = await self._whole(scope, receive)
        await _answer(send, status, b"image/png", body)

    async def _oversized(self, scope: Any, receive: Any, send: Any) -> None:
        """Blanks of the right type, 64 MB unless told otherwise, with no length announced."""
        _, kind, _ = await self._whole(scope, receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for _ in range(int(self.fault.get("megabytes", 64))):
            await send({"type": "http.response.body", "body": b" " * 2**20, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _trickle(self, scope: Any, receive: Any, send: Any) -> None:
        """An answer that begins at once and never ends: a blank now and then."""
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while self.fault["mode"] == "trickle":
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b""})

    async def _whole(self, scope: Any, receive: Any) -> tuple[int, bytes, bytes]:
        """The true answer: (status, media type, body)."""
        status, kind, body = 0, b"", b""

        async def collect(message: Any) -> None:
            nonlocal status, kind, body
            if message["type"] == "http.response.start":
                status, kind = message["status"], dict(message["headers"]).get(b"content-type", b"text/plain")
            body += message.get("body", b"")

        await self.app(scope, receive, collect)
        return status, kind, body


async def _answer(
    send: Any, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes], length: int | None = None
) -> None:
    size = str(len(body) if length is None else length).encode()
    headers = [*more] if status == 204 else [(b"content-type", kind), (b"content-length", size), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
