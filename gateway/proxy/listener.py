"""The server's protocol: uvicorn's on httptools, with deadlines and a strict head.

uvicorn waits for ever for a head that never ends, and llhttp forgives what another parser
on the way might read differently. Here whoever trickles, floods or never reads is closed,
and one request line has one form (negative cases D7, D19; RFC 9112 §3).
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

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
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """As in uvicorn, with our own cycle, and without parsing a target whose form `_LINE` has settled."""
        self._head, self._overhead = None, 0
        self.deadline = self.loop.time() + BODY_SECONDS
        version, scope = self.parser.get_http_version(), self.scope
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        before, self.cycle = (
            self.cycle,
            Cycle(
                scope=scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=version != "1.0" and self.parser.should_keep_alive(),
                on_response=self.on_response_complete,
            ),
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head, self.deadline = b"", NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As in uvicorn; the time an idle connection is kept is watched by the sweep, not by a timer of its own."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._head == b"":
            self.deadline = self.loop.time() + KEEP_ALIVE_SECONDS


class Cycle(RequestResponseCycle):
    """One request and its answer. An answer given whole is one write; any other goes uvicorn's way."""

    _begun: Any = None  # the start of an answer whose body is not known yet

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and not self.response_started and self._begun is None:
            self._begun = message
            return
        begun, self._begun = self._begun, None
        if begun is not None:
            if not message.get("more_body") and self._whole(begun, message.get("body", b"")):
                return
            await super().send(begun)
        await super().send(message)

    def _whole(self, begun: Any, body: bytes) -> bool:
        """False: something about the answer is special, and nothing was sent."""
        if self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD" or begun["status"] < 200:
            return False
        parts, lines, length = [STATUS_LINE[begun["status"]]], 2, -1
        for name, value in (*self.default_headers, *begun["headers"]):
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" or name == b"transfer-encoding":
                return False
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
            lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        if length != len(body) or head.count(b"\n") != lines or head.count(b"\r") != lines:
            return False  # uvicorn says what is wrong with it
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


def _fit(head: bytes) -> bool:
    """Whether the head so far is of the one form: request line, CRLF ends, bounded."""
    lines, last, end = 0, -1, len(head)
    while (at := head.find(b"\n", last + 1)) >= 0:
        if head[at - 1 : at] != b"\r" or at > HEAD_BYTES:
            return False
        if lines and at == last + 2:  # the empty line
            end = last + 1
            break
        lines, last = lines + 1, at
    if end > HEAD_BYTES or (lines and not _LINE.match(head)):
        return False
    half = end == len(head) and head.endswith(b"\r")  # of a line end
    return head.count(b"\r", 0, end) == lines + half


def _watched(loop: asyncio.AbstractEventLoop) -> "set[Listener]":
    found = _listening.get(loop)
    if found is None:
        found = _listening[loop] = set()
        loop.call_later(SWEEP_SECONDS, _sweep, loop)
    return found


def _sweep(loop: asyncio.AbstractEventLoop) -> None:
    now = loop.time()
    for listener in [each for each in _listening[loop] if each.deadline < now]:
        if listener.flow.read_paused and not listener.flow.write_paused:
            listener.deadline = now + BODY_SECONDS  # it is we who do not read
        else:
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
