"""The implementation of `Connector`: a pool of connections for each organisation.

    Transport.get, ask ── Pool.enter (limit, breaker) ── a pooled or new Wire ── Exchange (the answer)

No call waits because of another organisation: limit, queue, breaker and connections are per `Target`. Of the calls
that may run at once at an organisation each process has its part (`Transport.share`); its breaker sees the faults of
its own calls. One sweep four times a second checks all deadlines, which is cheaper than a timer for each call.
"""

import asyncio
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as AskTimeout
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from gateway.ground.http.connector import ConnectorError, GoesOn, Headers, OutboundRequest, Target, Withdrawn
from gateway.ground.http.reach import Resolve, addresses, origin, resolver
from gateway.ground.http.sends import Outbox
from gateway.ground.http.shown import Shown, context
from gateway.ground.http.wire import Dead, Exchange, Wire
from gateway.ground.pools import Pools, left
from gateway.settings import Settings

CONNECT_SECONDS = 3.0
POOLED_SECONDS = 20.0  # an idle connection is kept this long
SWEEP_SECONDS = 0.25
WAIT_SECONDS = 2.0  # how long a call waits when as many as allowed are running for this organisation
FAULTS_TO_OPEN = 5  # consecutive
PATIENT_SECONDS = 5.0  # a timeout counts as the organisation's fault only if the call had at least this long
LINES_HELD = 1024  # request lines cached for one organisation
POOLS_KEPT = 512  # with more of them, those of hosts that apps have named are forgotten while nobody calls them
APP = "app:"  # begins `Target.organisation` of such a host (fetching.py)
OPEN_SECONDS = (2.0, 4.0, 8.0, 16.0, 30.0)  # how long the breaker stays open, first time, second time, …

_TARGET = re.compile(r"/[!-~]*")
_NAME_CHARACTERS = b"abcdefghijklmnopqrstuvwxyz0123456789-"
_VALUE_CHARACTERS = bytes((9, *range(32, 127)))


class Breaker:
    """Closed → open after consecutive faults → one probe → closed again, or open for longer.

    A fault is a call that could not connect, or that received little or nothing in its time. A complete answer is
    good. Any other end counts as neither: given up by the reader, refused by us, or broken off before the deadline.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._faults = 0
        self._opened = 0  # how many times in a row
        self._until = 0.0
        self._probing = False
        self._slow_for: set[str] = set()  # the links (`whose`) whose slow calls are among the faults

    def check(self) -> None:
        if self._faults < FAULTS_TO_OPEN:
            return
        if self._clock() < self._until:
            raise ConnectorError("organisation_unavailable", "breaker open")
        self._until = self._clock() + OPEN_SECONDS[0]  # this call is the probe; others are refused meanwhile
        self._probing = True

    def good(self) -> None:
        self._faults = self._opened = 0
        self._probing = False
        self._slow_for.clear()

    def bad(self, whose: str = "") -> None:
        """Count a fault. `whose`: the link for which the call was too slow. Slowness may concern this link alone or
        what its app asks for, so slow calls of one link count once. Otherwise one app could close an organisation to
        all others by asking for what takes long."""
        if whose and not self._probing:
            if whose in self._slow_for:
                return
            self._slow_for.add(whose)
        self._faults += 1
        # Not for faults of calls that began before the breaker opened: they must not keep it open for longer.
        if self._faults == FAULTS_TO_OPEN or self._probing:
            self._probing = False
            self._until = self._clock() + OPEN_SECONDS[min(self._opened, len(OPEN_SECONDS) - 1)]
            self._opened += 1


class Pool:
    """Connections, places and breaker of one target."""

    def __init__(self, transport: "Transport", target: Target) -> None:
        self.target = target
        self.origin = origin(target.base_url)
        self.lines = lru_cache(maxsize=LINES_HELD)(self._lines)
        self.breaker = Breaker(transport.loop.time)
        self.idle: list[Wire] = []  # most recently used last
        self.shown = Shown(target.tls, transport.ca_file) if target.tls is not None else None
        self._transport = transport
        self.places = max(1, target.max_calls // transport.processes)  # calls at once, of this process
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def _lines(self, method: str, path: str) -> bytes:
        """The request line, the host field, and those of every request. Raises ConnectorError if `method` or `path`
        would break the line."""
        if not _TARGET.fullmatch(path) or "#" in path or not method.isalpha():
            raise ConnectorError("organisation_unavailable", "unfit path")
        line = f"{method} {self.origin.path}{path} HTTP/1.1\r\nhost: {self.origin.host_header}\r\n"
        return (line + "".join(f"{name}: {value}\r\n" for name, value in self.target.headers)).encode()

    @property
    def full(self) -> bool:
        return self._active >= self.places

    @property
    def resting(self) -> bool:
        return not self._active and self.target.organisation.startswith(APP)

    async def enter(self) -> None:
        """Take one of the target's places, after waiting for it if need be. Raises ConnectorError("busy")."""
        if not self.full:
            self._active += 1
            return
        if len(self._waiting) >= 2 * self.places:
            raise ConnectorError("busy", "waiting room full")
        turn = self._transport.loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place was handed over just as the waiting ended; pass it on
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise ConnectorError("busy", "no place in time") from None
            raise

    def done(self, exchange: Exchange) -> None:
        self._transport.running.discard(exchange)
        if exchange.complete:
            self.breaker.good()
        elif exchange.starved and exchange.seconds >= min(self.target.timeout_seconds, PATIENT_SECONDS):
            self.breaker.bad(exchange.whose)
        self.leave()

    def leave(self) -> None:
        while self._waiting and self._active <= self.places:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place is handed over
                return
        self._active -= 1

    def pooled(self) -> Wire | None:
        if self.shown is not None and self.shown.changed():
            self.forget()
        while self.idle:
            wire = self.idle.pop()
            if wire.usable:
                return wire
        return None

    def keep(self, wire: Wire) -> None:
        wire.idle_since = self._transport.loop.time()
        self.idle.append(wire)
        if len(self.idle) > self.places:  # calls that may not be repeated each make a new one
            self.idle.pop(0).drop()

    def forget(self) -> None:
        """Make no more calls on the connections there are."""
        idle, self.idle = self.idle, []
        for wire in idle:
            wire.drop()

    async def connect(self) -> Wire:
        """A new connection to a checked address. Raises ConnectorError."""
        where, loop = self.origin, self._transport.loop
        tls: dict[str, Any] = {}
        if where.secure:
            tls = {
                "ssl": self._transport.tls if self.shown is None else self.shown.context(),
                "server_hostname": where.host,
            }
        detail = "no connection"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                for address in await addresses(where, self._transport.networks(self.target), self._transport.look_up):
                    try:
                        made = await loop.create_connection(
                            partial(Wire, self.keep, self._transport.outbox), address, where.port, **tls
                        )
                        return made[1]
                    except ssl.SSLError:
                        detail = "TLS"
                    except OSError:
                        detail = "refused or unreachable"
        except TimeoutError:
            detail = "connect deadline"
        raise ConnectorError("organisation_unavailable", detail)

    def sweep(self, now: float) -> None:
        stale = [wire for wire in self.idle if not wire.usable or now - wire.idle_since > POOLED_SECONDS]
        for wire in stale:
            self.idle.remove(wire)
            wire.drop()


@dataclass(slots=True)
class Call:
    """What is sent, whole, to whom, and under which conditions."""

    pool: Pool
    request: bytes
    repeatable: bool  # may be sent a second time if nothing came back
    whose: str
    goes_on: GoesOn | None
    seconds: float  # for all of it

    async def ask(self) -> None:
        """Whether the call, which has its place and has waited, may still be made. If not the place is given back."""
        if self.goes_on is None:
            return
        try:
            if not await self.goes_on():
                raise Withdrawn
        except BaseException:
            self.pool.leave()
            raise


class Transport:
    """The `Connector`. A server calls `start` on its event loop; without that `ask` runs a loop in its own thread."""

    def __init__(self, settings: Settings, pools: Pools | None = None, *, look_up: Resolve | None = None) -> None:
        self.look_up = look_up or resolver(pools or Pools())
        self.ca_file = "" if settings.ca_file is None else str(settings.ca_file)
        self.tls = context(self.ca_file)
        self._everywhere = settings.outbound_networks
        self._total = settings.total_seconds
        self._pools: dict[Target, Pool] = {}
        self.processes = 1  # that serve the database
        self.told: Callable[[str, float], None] | None = None  # of each data call: organisation, seconds it waited
        self.running: set[Exchange] = set()
        self.outbox = Outbox()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._starting = threading.Lock()
        self._own: threading.Thread | None = None  # runs the loop if there is no server

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def networks(self, target: Target) -> tuple[str, ...]:
        return (*self._everywhere, *target.networks)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def share(self, processes: int) -> None:
        """From now on as many processes serve the database. On the event loop."""
        self.processes = processes
        for pool in self._pools.values():
            pool.places = max(1, pool.target.max_calls // processes)

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for exchange in list(self.running):
            await exchange.abort()
        for pool in self._pools.values():
            for wire in pool.idle:
                wire.drop()
        self._pools.clear()

    # ---- calls

    def get(self, request: OutboundRequest, goes_on: GoesOn | None = None) -> Awaitable[Exchange]:
        begun = self._send(self._call(request, goes_on, self._total))
        return begun if self.told is None else _timed(begun, request.target.organisation, self.told)

    def _call(self, request: OutboundRequest, goes_on: GoesOn | None, seconds: float) -> Call:
        pool = self._pool(request.target)
        return Call(pool, _written(pool, request), request.method == "GET", request.whose, goes_on, seconds)

    def _pool(self, target: Target) -> Pool:
        pool = self._pools.get(target)
        if pool is None:
            if len(self._pools) >= POOLS_KEPT:
                self._drop_resting()
            pool = self._pools[target] = Pool(self, target)
        return pool

    def _drop_resting(self) -> None:
        """Apps name hosts of their own: whoever names ever new ones must not fill the memory."""
        for target, pool in list(self._pools.items()):
            if pool.resting:
                pool.forget()
                del self._pools[target]

    async def _send(self, call: Call) -> Exchange:
        pool = call.pool
        pool.breaker.check()
        waits = pool.full
        await pool.enter()
        if waits:
            await call.ask()
        # A pooled connection may be dead, and the request is then sent again.
        wire = pool.pooled() if call.repeatable else None
        if wire is not None:
            exchange = self._begin(call, wire)
            try:
                await exchange.begun()
                return exchange
            except Dead:
                await pool.enter()  # and try once more, on a new connection
            except BaseException:
                await exchange.abort()
                raise
        return await self._anew(call)

    async def _anew(self, call: Call) -> Exchange:
        """Make the call on a new connection. The caller has taken the place."""
        pool = call.pool
        try:
            wire = await pool.connect()
        except BaseException as error:
            if isinstance(error, ConnectorError):
                pool.breaker.bad()
            pool.leave()
            raise
        try:
            await call.ask()
        except BaseException:
            pool.keep(wire)
            raise
        exchange = self._begin(call, wire)
        try:
            await exchange.begun()
        except Dead:
            pool.breaker.bad()
            raise ConnectorError("organisation_unavailable", "closed without an answer") from None
        except BaseException:
            await exchange.abort()
            raise
        return exchange

    def _begin(self, call: Call, wire: Wire) -> Exchange:
        pool = call.pool
        exchange = Exchange(self.loop, min(pool.target.timeout_seconds, call.seconds), call.seconds, pool.done)
        exchange.whose = call.whose
        self.running.add(exchange)
        if self._sweeping is None:
            self._sweeping = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        wire.call(exchange, call.request)
        return exchange

    def _sweep(self) -> None:
        now = self.loop.time()
        for exchange in [exchange for exchange in self.running if exchange.deadline < now]:
            exchange.overdue()
        for pool in self._pools.values():
            pool.sweep(now)
        busy = self.running or any(pool.idle for pool in self._pools.values())
        self._sweeping = self.loop.call_later(SWEEP_SECONDS, self._sweep) if busy else None

    # ---- calls from worker threads

    def ask(self, request: OutboundRequest, limit: int = 2**20) -> tuple[int, Headers, bytes]:
        seconds = min(self._total, left())
        if seconds <= 0:
            raise ConnectorError("organisation_slow", "no time left")

        async def whole() -> tuple[int, Headers, bytes]:
            async with asyncio.timeout(seconds + 1):  # includes connecting and waiting for a place
                answer = await self._send(self._call(request, None, seconds))
                return answer.status, answer.headers, await answer.read(limit)

        waiting = asyncio.run_coroutine_threadsafe(whole(), self._serving_loop())
        try:
            return waiting.result(seconds + 5)
        except (TimeoutError, AskTimeout):
            waiting.cancel()
            raise ConnectorError("organisation_slow", "deadline") from None

    def _serving_loop(self) -> asyncio.AbstractEventLoop:
        """The server's loop. For a command without a server, a loop in a thread started here."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._own = threading.Thread(target=self._run, args=(self._loop,), name="aval-connector", daemon=True)
                self._own.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        loop.run_until_complete(self.close())
        loop.run_until_complete(asyncio.sleep(0))  # lets aborted connections close their sockets
        loop.close()

    def shut(self) -> None:
        """End the loop in the thread started here, if there is one. For commands; a server calls `close`."""
        if self._own is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._own.join(5)
            self._own = self._loop = None


async def _timed(begun: Awaitable[Exchange], organisation: str, told: Callable[[str, float], None]) -> Exchange:
    began = time.perf_counter()
    try:
        return await begun
    finally:
        told(organisation, time.perf_counter() - began)


def _written(pool: Pool, request: OutboundRequest) -> bytes:
    """Its bytes. Raises ConnectorError if a part would smuggle in a second request."""
    names, values = zip(*request.headers, strict=True) if request.headers else ((), ())
    if b"".join(names).translate(None, _NAME_CHARACTERS) or b"".join(values).translate(None, _VALUE_CHARACTERS):
        raise ConnectorError("organisation_unavailable", "unfit field")
    if b"" in names:
        raise ConnectorError("organisation_unavailable", "unfit field")
    head = [pool.lines(request.method, request.path)]
    head += [b"%b: %b\r\n" % field for field in request.headers]
    if b"accept-encoding" not in names:
        head.append(b"accept-encoding: identity\r\n")
    if b"user-agent" not in names:  # some refuse whoever does not say what it is
        head.append(b"user-agent: Aval\r\n")
    if request.body or request.method not in ("GET", "HEAD"):
        head.append(b"content-length: %d\r\n" % len(request.body))
    head += (b"\r\n", request.body)
    return b"".join(head)
