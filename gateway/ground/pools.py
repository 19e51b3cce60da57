"""Who waits, waits apart: threads in small pools, one for each duty and each party that is waited for.

The rule. Whatever waits for somebody else (an organisation, a name server), or takes a core for long (hashing,
compiling), runs in the pool of its duty for that one party. It never holds a thread of the doors, so pages that need
nobody else are always answered, and it never holds a place of another party. Nothing uses asyncio's own executor: its
few threads would be everybody's.

    threads   that many work at once
    line      that many more may wait for a thread; who comes then is told so at once: `Full`
    seconds   all of one piece of work, its time in the line and all its calls together: see `left`

Calls to organisations have three more bounds, in `organisations.transport`: places, time per call, circuit breaker.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.errors import Unavailable

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Duty:
    threads: int
    line: float = math.inf
    seconds: float = math.inf


DUTIES: Mapping[str, Duty] = {
    "page": Duty(threads=4, line=0, seconds=15),  # a person waits before an empty page: linking, her accounts
    "unlink": Duty(threads=4, line=0, seconds=3),  # it has ended here already; the organisation is told again later
    "download": Duty(threads=2, line=0, seconds=120),  # many calls, one after the other
    "renewal": Duty(threads=4, line=32, seconds=15),  # of the credentials of links, for data calls
    "telling": Duty(threads=1, line=0, seconds=15),  # of links that have ended
    "name": Duty(threads=1, line=8),  # the system's resolver, by host: it has deadlines of its own, and long ones
    "compile": Duty(threads=1),  # grants; they share one connection to the database
    "cut": Duty(threads=2),  # answers too large for the event loop, by organisation
    "password": Duty(threads=4, line=32),  # argon2: 19 MiB and some 50 ms of a core each
}


class Full(Unavailable):
    """As many as may wait do so already. Nothing was begun."""


_until: ContextVar[float] = ContextVar("until", default=math.inf)  # on the monotonic clock


def left() -> float:
    """Seconds that the work under way may still take; infinite outside of a pool."""
    return _until.get() - time.monotonic()


def acquired(lock: threading.Lock) -> bool:
    """Wait for a lock, for as long as the work under way may take. Whether it was taken."""
    return lock.acquire(timeout=max(0.0, min(left(), threading.TIMEOUT_MAX)))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done inside has this long, or less where less was left."""
    before = _until.set(min(_until.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _until.reset(before)


class Pools:
    """The pools of one process, each made when it is first needed. May be used from any thread."""

    def __init__(self, duties: Mapping[str, Duty] = DUTIES) -> None:
        self._duties = duties
        self._guard = threading.Lock()
        self._pools: dict[tuple[str, str], _Pool] = {}  # by duty and party; under _guard
        self._shared: dict[tuple[str, str, Hashable], Future[Any]] = {}

    def submit(self, duty: str, party: str, work: Callable[[], Result]) -> "Future[Result]":
        """Have `work` done. `party`: whom it waits for. Raises Full."""
        with self._guard:
            pool = self._pools.get((duty, party))
            if pool is None:
                pool = self._pools[duty, party] = _Pool(self._duties[duty], f"aval-{duty}-{party}")
        return pool.submit(work)

    async def run(self, duty: str, party: str, work: Callable[[], Result]) -> Result:
        """The same, for a coroutine that needs the result."""
        return await asyncio.wrap_future(self.submit(duty, party, work))

    async def share(self, duty: str, party: str, key: Hashable, work: Callable[[], Result]) -> Result:
        """The same, once for all who ask for `key` while it is under way, however many they are."""
        name = duty, party, key
        with self._guard:
            future: Future[Result] | None = self._shared.get(name)
        if future is None:  # two threads may both find none; then it is done twice
            future = self.submit(duty, party, work)
            with self._guard:
                self._shared[name] = future
            future.add_done_callback(lambda _: self._shared.pop(name, None))
        # Who stops waiting does not stop the others.
        return await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """Nothing that still stands in a line is begun."""
        with self._guard:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()


class _Pool:
    def __init__(self, duty: Duty, name: str) -> None:
        self._duty = duty
        self._room = duty.threads + duty.line
        self._threads = ThreadPoolExecutor(duty.threads, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._taken = 0  # at work or in the line; under _guard

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        with self._guard:
            if self._taken >= self._room:
                raise Full("pool full")
            self._taken += 1
        with within(self._duty.seconds):
            context = copy_context()  # the deadline, and the request's id for its log lines
        try:
            future = self._threads.submit(context.run, work)
        except RuntimeError:  # the process is stopping
            self._leave()
            raise Full("pool closed") from None
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object = None) -> None:
        with self._guard:
            self._taken -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
