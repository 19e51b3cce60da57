"""Thread pools for slow work: a small pool for each kind of work (duty) and each party that the work waits for.

The rule: work that waits for another party (an organisation, a name server) or takes long to compute (hashing,
compiling) runs in the pool of its duty and that party. So it takes no thread of the doors, and pages that need no
other party are always answered. Nor does it take a place from work that waits for another party. Nothing uses
asyncio's default executor, whose few threads all kinds of work would share.

    threads   how many pieces of work run at once
    each      how many of these, running or in line, may be for one person: nobody holds all places of a party
    line      how many more may wait for a thread; any more are refused at once: `Full`
    seconds   the time for one piece of work, including its waiting in line and all its calls: see `left`

Calls to organisations have three more limits, in `ground.http.transport`: places, time per call, circuit breaker.
"""

import asyncio
import math
import threading
import time
from collections import Counter
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
    each: float = math.inf
    seconds: float = math.inf


DUTIES: Mapping[str, Duty] = {
    "page": Duty(threads=4, line=0, each=2, seconds=15),  # for a page that a person waits for: linking, her accounts
    "unlink": Duty(threads=4, line=0, each=2, seconds=3),  # short: it has ended here, and "telling" tries again
    "download": Duty(threads=2, line=0, each=1, seconds=120),  # many calls, one after the other
    "renewal": Duty(threads=4, line=32, seconds=15),  # renewing the credential of a link, for data calls
    "telling": Duty(threads=1, line=0, seconds=15),  # telling organisations of links that have ended
    "notice": Duty(threads=4, line=0),  # telling apps something, by the party of their hosts
    "name": Duty(threads=1, line=8),  # the system's resolver, by host: it has its own, long deadlines
    "keys": Duty(threads=1),  # reading the token keys again, for a token whose key is not known yet
    "compile": Duty(threads=1),  # compiling grants, on one connection of their own
    "cut": Duty(threads=2),  # answers too large for the event loop, by organisation
    "files": Duty(threads=2, line=64, seconds=15),  # reading what an organisation's files have of a customer
    "app": Duty(threads=4, line=32, seconds=10),  # addresses that apps have given, by `fetching.party`
    "password": Duty(threads=4, line=32),  # argon2: 19 MiB and about 50 ms of CPU each
}

POOLS_KEPT = 256  # with more of them, those that have nothing to do are closed


class Full(Unavailable):
    """No place is free, for anybody or for this person. The work was not begun."""


_until: ContextVar[float] = ContextVar("until", default=math.inf)  # the current work's deadline, monotonic clock


def left() -> float:
    """Seconds left for the current piece of work; infinite outside of a pool."""
    return _until.get() - time.monotonic()


def acquired(lock: threading.Lock) -> bool:
    """Wait for a lock for as long as the current work has time. Returns whether the lock was taken."""
    return lock.acquire(timeout=max(0.0, min(left(), threading.TIMEOUT_MAX)))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The work inside has this much time, or less if less was left before."""
    before = _until.set(min(_until.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _until.reset(before)


class Pools:
    """The pools of one process, each made when first needed. Can be used from any thread."""

    def __init__(self, duties: Mapping[str, Duty] = DUTIES) -> None:
        self._duties = duties
        self._guard = threading.Lock()
        self._pools: dict[tuple[str, str], _Pool] = {}  # by duty and party; under _guard
        self._closed = False  # under _guard
        self._shared: dict[tuple[str, str, Hashable], Future[Any]] = {}

    def submit(self, duty: str, party: str, work: Callable[[], Result], person: str = "") -> "Future[Result]":
        """Run `work` in a thread. `party`: what it waits for, such as an organisation's id; `person`: who waits for it,
        where a person does. Raises Full."""
        with self._guard:
            if self._closed:
                raise Full("pools closed")
            pool = self._pools.get((duty, party))
            if pool is None:
                self._drop_idle()
                pool = self._pools[duty, party] = _Pool(self._duties[duty], f"aval-{duty}-{party}")
            return pool.submit(work, person)  # under the guard: a pool that is found is not dropped before it has work

    def _drop_idle(self) -> None:
        """Apps name hosts of their own, which are parties to the duty "name": whoever names ever new ones must not
        leave ever more threads behind."""
        if len(self._pools) >= POOLS_KEPT:
            for name, pool in list(self._pools.items()):
                if pool.idle:
                    del self._pools[name]
                    pool.close()

    async def run(self, duty: str, party: str, work: Callable[[], Result], person: str = "") -> Result:
        """Run `work` in a thread and wait for its result."""
        return await asyncio.wrap_future(self.submit(duty, party, work, person))

    async def share(self, duty: str, party: str, key: Hashable, work: Callable[[], Result]) -> Result:
        """Run `work` and wait for its result. Calls with the same `key` while it is running share one run."""
        name = duty, party, key
        with self._guard:
            future: Future[Result] | None = self._shared.get(name)
        if future is None:  # two threads may both find none; then the work is harmlessly done twice
            future = self.submit(duty, party, work)
            with self._guard:
                self._shared[name] = future
            future.add_done_callback(lambda _: self._shared.pop(name, None))
        # shield: when one of the waiting calls is cancelled, the work goes on for the others.
        return await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """Stop the pools, for good. Work that still waits in a line is not begun, nor is any that comes later."""
        with self._guard:
            self._closed = True
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()


def _awaitable(work: Callable[[], Result]) -> Result:
    """What `work` returns. No awaited future can carry StopIteration: who waits for it would wait for ever."""
    try:
        return work()
    except StopIteration as end:
        raise RuntimeError("the work raised StopIteration") from end


class _Pool:
    def __init__(self, duty: Duty, name: str) -> None:
        self._duty = duty
        self._room = duty.threads + duty.line
        self._threads = ThreadPoolExecutor(duty.threads, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._taken: Counter[str] = Counter()  # pieces of work running or in the line, by person; under _guard

    def submit(self, work: Callable[[], Result], person: str) -> "Future[Result]":
        with self._guard:
            hers = self._taken[person] if person else 0
            if self._taken.total() >= self._room or hers >= self._duty.each:
                raise Full("pool full")
            self._taken[person] += 1
        with within(self._duty.seconds):
            context = copy_context()  # carries the deadline, and the request's id for log lines
        try:
            future = self._threads.submit(context.run, _awaitable, work)
        except RuntimeError:  # the process is stopping
            self._leave(person)
            raise Full("pool closed") from None
        future.add_done_callback(lambda _: self._leave(person))
        return future

    @property
    def idle(self) -> bool:
        with self._guard:
            return not self._taken.total()

    def _leave(self, person: str) -> None:
        with self._guard:
            self._taken[person] -= 1
            if not self._taken[person]:
                del self._taken[person]  # else everybody who ever came would be remembered

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
