"""The server's protocol: uvicorn's on httptools, with deadlines and strict checks of the request's head.

uvicorn waits for ever for a head that never ends, and llhttp accepts forms that a proxy on the way might read
differently. Here a client that sends too slowly, sends too much or never reads is disconnected, and the request line
must have its one valid form (RFC 9112 §3).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.ground.http.client_certificates import SCOPE, ClientCertificate
from gateway.ground.http.heads import RequestHead, Unfit, line_ends
from gateway.ground.http.peers import Proxies, network
from gateway.ground.http.sends import Outbox
from gateway.ground.http.tls import Mutual, NotBelieved
from gateway.settings import Settings

HEAD_SECONDS = 10.0  # from the first byte of a request to the end of its fields
BODY_SECONDS = 10.0  # between two pieces of a body
WRITE_SECONDS = 15.0  # without the client reading anything of the answer
KEEP_ALIVE_SECONDS = 5
OVERHEAD_BYTES = 16 * 1024  # of chunk lines (sizes, extensions) between two pieces of a body
SWEEP_SECONDS = 1.0
COPIED_BYTES = 32 * 1024  # a body up to this size is copied to its head and sent in one write
NEVER = float("inf")

_listening: "WeakKeyDictionary[asyncio.AbstractEventLoop, set[Listener]]" = WeakKeyDictionary()


class Listener(HttpToolsProtocol):
    """One connection. `deadline` (loop time): when it is closed unless something happens before."""

    def __init__(self, doorstep: "Doorstep", outbox: Outbox, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.outbox = outbox
        self.deadline = NEVER
        self._doorstep = doorstep
        self.place: str | None = None  # at the doorstep, from here or from who has let it in before (entrance.py)
        self.mutual: Mutual | None = None  # on the port that asks for certificates: whose are believed (entrance.py)
        self._shown: ClientCertificate | None = None
        self._head: RequestHead | None = (
            RequestHead()
        )  # of the request under way, until it is whole; None: its body comes
        self._waits = False  # counted among the unfinished heads of its place
        self._overhead = 0
        self._length = 0  # bytes of the body still to come, if Content-Length was given
        self._in_body = False
        self._refused = False
        self._running: Any = None  # the cycle whose answer is being sent; pipelined requests wait behind it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.time() + HEAD_SECONDS
        _watched(self.loop).add(self)
        if self.place is None:
            self.place = self._doorstep.enter(self.client[0] if self.client else "")
        if self.place is None:
            self._refuse(503)
        elif self.mutual is not None:
            self._look_at_certificate(self.mutual)

    def _look_at_certificate(self, mutual: Mutual) -> None:
        try:
            self._shown = mutual.shown(self.transport.get_extra_info("ssl_object"))
        except NotBelieved:
            self._refused = True
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        _watched(self.loop).discard(self)
        self._waits_no_more()
        if self.place is not None:
            self._doorstep.leave(self.place)
            self.place = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process one head or one piece of a body at a time, so that later requests on the connection are checked like
        the first."""
        while data and not self._refused:
            data = self._read_body(data) if self._head is None else self._read_head(self._head, data)

    def _read_head(self, head: RequestHead, data: bytes) -> bytes:
        """Returns what comes after the head."""
        if not head.text:
            self.deadline = self.loop.time() + HEAD_SECONDS
        try:
            rest = head.add(data)
        except Unfit as unfit:
            self._refuse(unfit.status)
            return b""
        if rest is None:
            self._wait()
            return b""
        self._waits_no_more()
        self._length = 0
        self._feed(head.text)
        return rest

    def _read_body(self, data: bytes) -> bytes:
        """Returns the bytes after the body, if Content-Length was given. The end of a chunked body only the parser
        finds."""
        piece, rest = (data[: self._length], data[self._length :]) if self._length else (data, b"")
        self._length -= min(self._length, len(piece))
        self._overhead += len(piece)
        if self._overhead > OVERHEAD_BYTES + len(piece):
            self._refuse(400)
            return b""
        self.deadline = self.loop.time() + BODY_SECONDS
        self._in_body = True
        self._feed(piece)
        self._in_body = False
        return rest

    def _feed(self, data: bytes | bytearray) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # web sockets are not supported: the request is answered as plain HTTP
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)

    def _wait(self) -> None:
        """The head is not complete yet. The number of unfinished heads of one address is limited, so that it cannot
        keep the loop busy with tiny pieces."""
        if not self._waits:
            self._waits = self.place is not None and self._doorstep.wait(self.place)
            if not self._waits:
                self._refuse(503)

    def _waits_no_more(self) -> None:
        if self._waits and self.place is not None:
            self._doorstep.wait_no_more(self.place)
        self._waits = False

    def _refuse(self, status: int) -> None:
        """Read nothing more from this connection. Complete requests before the bad one are still answered; then the
        refusal is sent and the connection closed."""
        self._refused = True
        self.outbox.send()  # it may hold the answer to an earlier request
        cut = self.cycle if self._head is None and self.cycle is not None and self.cycle.more_body else None
        if cut is not None and self.pipeline and self.pipeline[0][0] is cut:
            self.pipeline.popleft()
            cut = None
        last = self.pipeline[0][0] if self.pipeline else self._running
        if cut is None and last is not None and not last.response_complete:
            last.keep_alive, self.deadline = False, NEVER
            return
        if cut is None or cut.response_complete:
            reason = {400: "Bad Request", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}[status]
            answer = f"HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(answer.encode())
        self.transport.close()

    def shutdown(self) -> None:
        self.outbox.send()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.deadline = self.loop.time() + WRITE_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self.deadline = NEVER

    # ---- httptools

    def on_message_begin(self) -> None:
        if self._in_body:
            raise ValueError("a request behind chunks: its head was not seen")
        super().on_message_begin()
        if self.mutual is not None:
            self.scope[SCOPE] = self._shown  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            raise ValueError("trailer fields are not taken")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        elif name == b"content-length":
            self._length = int(value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """As in uvicorn, but with our own `Cycle` and without parsing the target: `Head` has checked its form."""
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
        before, self.cycle = self.cycle, Cycle(self, version != "1.0" and self.parser.should_keep_alive())
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """As in uvicorn, but the task removes itself from the set of tasks when it ends, instead of by a callback that
        would cost one more loop turn."""
        self._running = cycle
        cycle.task = self.loop.create_task(cycle.run(app, self.tasks))
        self.tasks.add(cycle.task)

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head, self.deadline = RequestHead(), NEVER
        cycle = self.cycle
        cycle.more_body = False
        if isinstance(cycle, Cycle):
            cycle.tell()

    def on_response_complete(self) -> None:
        """As in uvicorn, but the sweep closes idle connections, instead of a timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._head is not None and not self._head.text:
            self.deadline = self.loop.time() + KEEP_ALIVE_SECONDS


class Doorstep:
    """Counts open connections and unfinished heads.

    Both are limited in total and for each address, so that one caller cannot take every place. The connections of a
    trusted proxy come from many callers and count in the total only.
    """

    def __init__(self, settings: Settings) -> None:
        self._all, self._each = settings.connections or NEVER, settings.address_connections or NEVER
        self._waiting_each = settings.address_heads or NEVER
        self._waiting: dict[str, int] = {}
        self._proxies = Proxies(settings)
        self._open: dict[str, int] = {}
        self._total = 0

    def enter(self, address: str) -> str | None:
        """Count a connection. Returns the place to give to `leave` once; None: there are too many connections."""
        name = "" if self._proxies.trusts(address) else network(address)
        held = self._open.get(name, 0)
        if self._total >= self._all or (name and held >= self._each):
            return None
        self._total += 1
        self._open[name] = held + 1
        return name

    def leave(self, place: str) -> None:
        self._total -= 1
        held = self._open.pop(place) - 1
        if held:
            self._open[place] = held

    def wait(self, place: str) -> bool:
        """Count an unfinished head. True: call `wait_no_more` once when it is complete. False: there are too many."""
        waiting = self._waiting.get(place, 0)
        if place and waiting >= self._waiting_each:
            return False
        self._waiting[place] = waiting + 1
        return True

    def wait_no_more(self, place: str) -> None:
        waiting = self._waiting.pop(place) - 1
        if waiting:
            self._waiting[place] = waiting


class Cycle(RequestResponseCycle):
    """One request and its answer. A complete answer is sent in one write; uvicorn's code sends any other."""

    _begun: Any = None  # the start message of an answer, kept until its body comes
    task: asyncio.Task[None]
    _event: asyncio.Event | None = None  # made when something waits for the body: most requests have none
    # uvicorn's initial values as class attributes: an instance only stores those that change, which is faster.
    access_log = False
    disconnected = False
    response_started = False
    response_complete = False
    more_body = True
    chunked_encoding: bool | None = None
    expected_content_length: int = 0

    def __init__(self, listener: Listener, keep_alive: bool) -> None:
        self.scope = listener.scope
        self.transport = listener.transport
        self.flow = listener.flow
        self.logger = listener.logger
        self.default_headers = listener.server_state.default_headers
        self.waiting_for_100_continue = listener.expect_100_continue
        self.keep_alive = keep_alive
        self._loop, self._outbox = listener.loop, listener.outbox
        self.on_response = listener.on_response_complete
        self.body = bytearray()

    async def run(self, app: Any, tasks: set[asyncio.Task[None]]) -> None:
        """As uvicorn's `run_asgi`, which is only called when the app failed or did not answer."""
        try:
            try:
                await app(self.scope, self.receive, self.send)
                if self.response_complete:
                    return
                outcome: Callable[..., Awaitable[None]] = _silent
            except BaseException as error:
                outcome = _failing(error)
            self._begun = None  # the kept start message is dropped: nothing has been sent yet
            await self.run_asgi(outcome)
        finally:
            tasks.discard(self.task)

    def tell(self) -> None:
        """Wake up what waits for more of the request's body or for the client's disconnect."""
        if self._event is not None:
            self._event.set()

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        if self._event is None:
            self._event = asyncio.Event()
            if self.body or not self.more_body or self.disconnected or self.response_complete:
                self._event.set()
        return self._event

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and not self.response_started and self._begun is None:
            self._begun = message
            return
        begun, self._begun = self._begun, None
        if begun is not None:
            if not message.get("more_body") and self._whole(begun, message.get("body", b"")):
                return
            self._outbox.send()
            await super().send(begun)
        await super().send(message)

    def _whole(self, begun: Any, body: bytes) -> bool:
        """Send the answer in one write. False: nothing was sent, because uvicorn's code must handle this answer."""
        if self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD" or begun["status"] < 200:
            return False
        fields = [*self.default_headers, *begun["headers"]]
        known = dict(fields)
        if b"connection" in known or b"transfer-encoding" in known or known.get(b"content-length") != b"%d" % len(body):
            return False
        if not self.keep_alive:
            fields.append((b"connection", b"close"))
        head = STATUS_LINE[begun["status"]] + b"\r\n".join(map(b": ".join, fields))
        if line_ends(head) != len(fields):  # a line end inside of a field
            return False  # uvicorn says what is wrong with it
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        if len(body) < COPIED_BYTES:
            self._outbox.put(self._loop, self.transport, b"%b\r\n\r\n%b" % (head, body))
        else:
            self._outbox.send()
            self.transport.writelines((head, b"\r\n\r\n", body))
        self.tell()
        if not self.keep_alive:
            self._outbox.send()
            self.transport.close()
        self.on_response()
        return True


def _failing(error: BaseException) -> Callable[..., Awaitable[None]]:
    async def app(*_: object) -> None:
        raise error

    return app


async def _silent(*_: object) -> None:
    """Stands for an app that has ended without completing its answer."""


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
            listener.deadline = now + BODY_SECONDS  # paused by our own flow control, so the client is not late
        else:
            listener.transport.abort()
    loop.call_later(SWEEP_SECONDS, _sweep, loop)


def listeners(settings: Settings) -> "partial[Listener]":
    """A factory for the listeners of one server, which share a doorstep and an outbox."""
    return partial(Listener, Doorstep(settings), Outbox())


def config(app: Callable[..., Any], settings: Settings, **more: Any) -> uvicorn.Config:
    """uvicorn's configuration. uvicorn does not read any proxy headers: `guard` does."""
    return uvicorn.Config(
        app,
        **{
            "host": settings.host,
            "port": settings.port,
            "http": listeners(settings),
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
