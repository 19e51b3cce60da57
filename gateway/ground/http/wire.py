"""One connection to an organisation, and the calls on it.

    Wire      the connection: writes one request, parses one answer, is reused only if no unread bytes are left
    Exchange  the current call: what has been received, what waits for more, and the deadline

An answer that can be read in two ways, or is malformed, is refused: two lengths, a length and chunks, a
split or endless head, many 1xx answers, an unknown coding, an incomplete body. The parser is
httptools (llhttp, strict); `_framing` refuses what the parser lets through.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httptools

from gateway.ground.http.connector import ConnectorError, Headers
from gateway.ground.http.sends import Outbox

HEAD_LIMIT = 64 * 1024  # bytes of status line and fields
FIELDS_LIMIT = 200
INTERIM_LIMIT = 8  # 1xx answers before the final one
HELD_LIMIT = 256 * 1024  # received bytes waiting for the reader; beyond that the organisation has to wait
RATIO_LIMIT = 100  # of expanded to compressed size
RATIO_FREE = 64 * 1024  # expanded bytes up to which the ratio does not matter
STEP = 64 * 1024  # bytes expanded at a time
IDLE_SECONDS = 15.0

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
     b"upgrade")
)  # fmt: skip
_FRAMING = (b"content-length", b"transfer-encoding", b"content-encoding")
_USUAL_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))
_NO_BODY = (204, 304)
_EXPANDED = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # content coding → zlib's `wbits` for it
INVALID = "organisation_answer_invalid"


class Dead(Exception):
    """A pooled connection was closed before any byte of the answer. Only after this fault is a call sent again."""


class Expander:
    """Expands gzip or deflate step by step, so that a decompression bomb is noticed before it is large."""

    def __init__(self, window_bits: int) -> None:
        self._inflate = zlib.decompressobj(window_bits)
        self._read = 0
        self._given = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Expanded steps. Raises ConnectorError."""
        self._read += len(data)
        steps = []
        try:
            while data and not self._inflate.eof:
                step = self._inflate.decompress(data, STEP)
                data = self._inflate.unconsumed_tail
                self._given += len(step)
                if self._given > RATIO_FREE and self._given > RATIO_LIMIT * self._read:
                    raise ConnectorError("too_large", "expands too far")
                steps.append(step)
        except zlib.error:
            raise ConnectorError(INVALID, "broken coding") from None
        if self._inflate.unused_data:
            raise ConnectorError(INVALID, "bytes after the coded body")
        return steps

    def close(self) -> None:
        if not self._inflate.eof:
            raise ConnectorError(INVALID, "coded body cut short")


class Exchange:
    """The `Answer` of one call. Used on the event loop only."""

    status = 0
    headers: Headers = ()  # type: ignore[assignment]
    started = False  # status and header fields have been received
    complete = False  # the whole body has been received, too
    fault: Exception | None = None
    whose = ""  # the link for which the call is made, if there is one
    starved = False  # its time ran out when little or nothing had been received
    _came = 0  # bytes of the body received, before expanding
    _until_close = False
    _length: int | None = None
    _held = 0
    _wake: asyncio.Future[None] | None = None
    _wire: "Wire | None" = None
    _expander: Expander | None = None

    def __init__(
        self, loop: asyncio.AbstractEventLoop, first_byte: float, total: float, done: Callable[["Exchange"], None]
    ) -> None:
        now = loop.time()
        self.deadline = now + first_byte  # loop time; the transport's sweep checks it
        self.seconds = total
        self._last = now + total
        self._parts: list[bytes] = []
        self._done = done
        self.loop = loop

    # ---- the wire's side

    def begin(self, wire: "Wire", status: int, headers: Headers) -> None:
        self._framing(status, headers)
        self._wire, self.status, self.started = wire, status, True
        self.renew()
        self._rouse()

    def renew(self) -> None:
        self.deadline = min(self.loop.time() + IDLE_SECONDS, self._last)

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        self._came += len(data)
        if self._held > HELD_LIMIT and self._wire is not None:
            self._wire.pause(True)
            self.deadline = self._last
        self._rouse()

    def finish(self) -> None:
        if not self.complete and self.fault is None:
            self.complete = True
            self._done(self)
            self._rouse()

    def fail(self, fault: Exception) -> None:
        if not self.complete and self.fault is None:
            self.fault = fault
            self._done(self)
            self._rouse()

    def closed(self, clean: bool) -> None:
        """The connection has ended. That completes an answer whose body ends with the connection; for any other it is
        a fault."""
        if self._until_close and clean:
            self.finish()
        elif self.started:
            self.fail(ConnectorError(INVALID, "cut short"))
        else:
            self.fail(Dead())

    def overdue(self) -> None:
        # If more has come, the reader may be slow or the answer large, which is not the organisation's fault.
        self.starved = self._came <= HELD_LIMIT
        self.fail(ConnectorError("organisation_slow", "deadline"))
        self._hang_up()

    def _framing(self, status: int, headers: Headers) -> None:
        """RFC 9112 §6: how the body is delimited, in exactly one way. Raises ConnectorError."""
        fields = dict(headers)
        if len(fields) != len(headers):
            names = [name for name, _ in headers]
            if any(names.count(name) > 1 for name in _FRAMING):
                raise ConnectorError(INVALID, "framed twice")
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        if length is not None:
            if coding is not None or not length.isdigit() or len(length) > 15:
                raise ConnectorError(INVALID, "length")
            self._length = int(length)
        elif coding is not None and coding.lower() != b"chunked":
            raise ConnectorError(INVALID, "transfer coding")
        self._until_close = length is None and coding is None and status not in _NO_BODY
        left_out = _HOP_BY_HOP
        named = fields.get(b"connection", b"close")
        if named not in _USUAL_CONNECTION:
            left_out = left_out.union(word.strip().lower() for word in named.split(b","))
        content_coding = fields.get(b"content-encoding", b"").lower()
        if content_coding in _EXPANDED:
            self._expander = Expander(_EXPANDED[content_coding])
            left_out = left_out | {b"content-encoding", b"content-length"}
        elif content_coding not in (b"", b"identity"):
            raise ConnectorError(INVALID, "unknown coding")
        self.headers = [field for field in headers if field[0] not in left_out]

    def _rouse(self) -> None:
        wake = self._wake
        if wake is not None:
            self._wake = None
            if not wake.done():
                wake.set_result(None)

    # ---- the reader's side

    async def begun(self) -> None:
        """Returns when status and header fields have been received. Raises the fault."""
        while not self.started:
            if self.fault is not None:
                raise self.fault
            await self._more()

    async def read(self, limit: int) -> bytes:
        if self._length is not None and self._length > limit:
            await self.abort()
            raise ConnectorError("too_large", "announced")
        if self.complete and self._expander is None and self._held <= limit:  # a small answer, as most are
            return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        whole: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                await self.abort()
                raise ConnectorError("too_large", "counted")
            whole.append(chunk)
        return b"".join(whole)

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self)

    async def some(self) -> list[bytes]:
        """The next pieces of the body, at least one. An empty list: the body has ended. Raises the fault."""
        while True:
            parts = self._take()
            if parts:
                return parts
            if self._parts:
                continue
            if self.fault is not None:
                raise self.fault
            if self.complete:
                if self._expander is not None:
                    self._expander.close()
                return []
            await self._more()

    async def abort(self) -> None:
        self.fail(ConnectorError("organisation_answer_invalid", "given up"))
        self._parts.clear()
        self._hang_up()

    def _take(self) -> list[bytes]:
        parts, self._parts, self._held = self._parts, [], 0
        if self._wire is not None and not self.complete:
            self._wire.pause(False)
            self.renew()
        if self._expander is None:
            return parts
        try:
            return [step for part in parts for step in self._expander.feed(part)]
        except ConnectorError as fault:
            self.fail(fault)
            self._hang_up()
            raise

    async def _more(self) -> None:
        if self._wake is None:
            self._wake = self.loop.create_future()
        await self._wake

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.drop()


class _Chunks:
    """A body, piece by piece. Not an async generator, because mypyc cannot compile those (`gateway.compiled`)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces: Iterator[bytes] = iter(())

    def __aiter__(self) -> "_Chunks":
        return self

    async def __anext__(self) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = iter(await self._exchange.some())
            piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        return piece


class Wire(asyncio.Protocol):
    """One connection. `idle` is called when it may be used for another call."""

    __slots__ = ("transport", "exchange", "used", "idle_since", "_parser", "_idle", "_outbox", "_spoiled", "_head",
                 "_interim", "_fields", "_paused", "_lost")  # fmt: skip

    def __init__(self, idle: Callable[["Wire"], None], outbox: Outbox) -> None:
        self.transport: Any = None
        self.exchange: Exchange | None = None
        self.used = False  # whether a call was made on it before
        self.idle_since = 0.0
        self._parser: Any = None
        self._idle = idle
        self._outbox = outbox
        self._spoiled = False  # must not be used again
        self._head = 0
        self._interim = 0
        self._fields: Headers = []
        self._paused = False
        self._lost = False

    @property
    def usable(self) -> bool:
        return not self._lost and not self._spoiled and not self.transport.is_closing()

    def call(self, exchange: Exchange, request: bytes) -> None:
        self.exchange = exchange
        exchange._wire = self
        self._parser = httptools.HttpResponseParser(self)  # a new one, so that no state of an earlier call remains
        self._head = self._interim = 0
        self._outbox.put(exchange.loop, self.transport, request)

    def drop(self) -> None:
        """Close the connection at once."""
        self._spoiled = True
        if self.transport is not None:
            self.transport.abort()

    def pause(self, pause: bool) -> None:
        if pause is not self._paused and not self._lost:
            self._paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes without a request
            self.drop()
            return
        if exchange.started:
            exchange.renew()
        else:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            context = error.__context__
            fault = context if isinstance(context, ConnectorError) else ConnectorError(INVALID, "not HTTP")
            exchange.fail(fault)  # without effect if the answer was complete: bytes after it are dropped
            self.drop()
            return
        if exchange.complete:
            self._release(exchange)
        elif not exchange.started and self._head > HEAD_LIMIT:  # one read may bring a whole head and much body
            self._refuse("endless head")

    def eof_received(self) -> bool:
        return False  # asyncio then closes our side too

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.closed(clean=error is None)

    def _release(self, exchange: Exchange) -> None:
        self.exchange = None
        self.used = True
        if self._spoiled or self.transport.get_write_buffer_size():
            self.drop()
            return
        self.pause(False)
        self._idle(self)

    def _refuse(self, detail: str) -> None:
        if self.exchange is not None:
            self.exchange.fail(ConnectorError(INVALID, detail))
        self.drop()

    # ---- httptools

    def on_message_begin(self) -> None:
        self._fields = []
        if self.exchange is not None and self.exchange.complete:
            self._spoiled = True  # a second answer to one request: do not reuse the connection

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if len(self._fields) > FIELDS_LIMIT:
            raise ConnectorError(INVALID, "too many fields")
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > INTERIM_LIMIT:
                raise ConnectorError(INVALID, "interim answers")
            return
        if self.exchange is not None and not self.exchange.complete:
            if self._head > HEAD_LIMIT and sum(len(n) + len(v) for n, v in self._fields) > HEAD_LIMIT:
                raise ConnectorError(INVALID, "endless head")
            self._spoiled |= not self._parser.should_keep_alive()  # ask now: at the message's end it is reset
            self.exchange.begin(self, status, [(name.lower(), value) for name, value in self._fields])

    def on_body(self, data: bytes) -> None:
        if self.exchange is not None and not self.exchange.complete:
            self.exchange.add(data)

    def on_message_complete(self) -> None:
        if self.exchange is not None and self.exchange.started:
            self.exchange.finish()
