"""The server's protocol: uvicorn's on httptools, with deadlines and a strict head.

uvicorn waits for ever for a head that never ends, and llhttp forgives what another parser
on the way might read differently. Here whoever trickles, floods or never reads is closed,
and one request line has one form (negative cases D7, D19; RFC 9112 §3).
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.settings import Settings

HEAD_SECONDS = 10.0  # from the first byte of a request to the end of its fields
BODY_SECONDS = 10.0  # between two pieces of a body
WRITE_SECONDS = 15.0  # an answer of which nothing more is taken
KEEP_ALIVE_SECONDS = 5
HEAD_BYTES = 48 * 1024  # above what the guard answers with 431
OVERHEAD_BYTES = 16 * 1024  # of chunk lines, between two pieces of a body
SWEEP_SECONDS = 1.0
NEVER = float("inf")

_LINE = re.compile(rb"[A-Z]{1,20} /[!-~]* HTTP/1\.[01]\r\n")

_listening: "WeakKeyDictionary[asyncio.AbstractEventLoop, set[Listener]]" = WeakKeyDictionary()


class Listener(HttpToolsProtocol):
    """`deadline`: on the loop's clock, when the connection is closed unless something happens before."""

    deadline = NEVER
    _head: bytes | None = b""  # of the request under way, until it is whole; None: its body, or its answer
    _overhead = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.time() + HEAD_SECONDS
        _watched(self.loop).add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        _watched(self.loop).discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        head = self._head
        if head is None:
            self._overhead += len(data)
            if self._overhead > OVERHEAD_BYTES + len(data):
                self._refuse(400)
                return
            self.deadline = self.loop.time() + BODY_SECONDS
        else:
            if not head:
                self.deadline = self.loop.time() + HEAD_SECONDS
            head = head + data if head else data
            if not _fit(head):
                self._refuse(431 if len(head) > HEAD_BYTES else 400)
                return
            self._head = head
        super().data_received(data)

    def _refuse(self, status: int) -> None:
        self._refused = True
        reason = {400: "Bad Request", 431: "Request Header Fields Too Large"}[status]
        answer = f"HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(answer.encode())
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.deadline = self.loop.time() + WRITE_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self.deadline = NEVER

    # ---- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            raise ValueError("trailer fields are not taken")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head, self._overhead = None, 0
        self.deadline = self.loop.time() + BODY_SECONDS
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head, self.deadline = b"", NEVER
        super().on_message_complete()


def _fit(head: bytes) -> bool:
    """Whether the head so far is of the one form: request line, CRLF ends, bounded."""
    end = head.find(b"\r\n\r\n")
    seen = head if end < 0 else head[:end]
    if len(seen) > HEAD_BYTES:
        return False
    ends = seen.count(b"\r\n")
    if ends and not _LINE.match(head):
        return False
    return seen.count(b"\n") == ends and seen.count(b"\r") - seen.endswith(b"\r") == ends


def _watched(loop: asyncio.AbstractEventLoop) -> "set[Listener]":
    found = _listening.get(loop)
    if found is None:
        found = _listening[loop] = set()
        loop.call_later(SWEEP_SECONDS, _sweep, loop)
    return found


def _sweep(loop: asyncio.AbstractEventLoop) -> None:
    now = loop.time()
    for listener in [each for each in _listening[loop] if each.deadline < now]:
        listener.transport.abort()
    loop.call_later(SWEEP_SECONDS, _sweep, loop)


def config(app: Callable[..., Any], settings: Settings, **more: Any) -> uvicorn.Config:
    """How the gateway is served. Nothing from a proxy is believed here: see `guard`."""
    return uvicorn.Config(
        app,
        **{
            "host": settings.host,
            "port": settings.port,
            "http": Listener,
            "loop": "auto",
            "ws": "none",
            "interface": "asgi3",
            "lifespan": "on",
            "proxy_headers": False,
            "server_header": False,
            "date_header": True,
            "access_log": False,
            "timeout_keep_alive": KEEP_ALIVE_SECONDS,
            "timeout_graceful_shutdown": 10,
            "backlog": 2048,
            **more,
        },
    )
