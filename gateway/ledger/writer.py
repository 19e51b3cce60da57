"""The writer: what has to be on the disk before an answer leaves, many calls in one commit.

    calls ── commit ──┐ gathered while the disk is busy
                      ▼
    event loop   one transaction for all of them           microseconds, in the page cache
    disk thread  fdatasync of the write-ahead log          the wait, outside of loop and lock
    event loop   every call is told, and the next ones are written

In the transaction of its entry each item finds the consent as it was judged, or is told
`CHANGED` and nothing is written: so no access is ever recorded, and no data given, under
terms that had ended before. Judging and writing share one connection, so what one of them
has read the other need not read again unless somebody else has written since.
"""

import asyncio
import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue

from gateway.consent import ending
from gateway.errors import Unavailable
from gateway.ground.store import Store
from gateway.ground.store.engine import Connection, StoreFault, is_damage, stored
from gateway.ground.store.threads import give_way
from gateway.ledger import uses
from gateway.ledger.standing import Standing, Standings
from gateway.ledger.uses import Count
from gateway.log import Event, Log
from gateway.log.record import Heads

BATCH = 256  # items of one commit
HEADS_HELD = 4096
ACCESS_SECONDS = 60  # "last used" of a consent is this exact
BUSY_SECONDS = 5.0  # that another process may hold the database
BUSY_STEP_SECONDS = 0.005

_OPEN = "INSERT INTO openstream (id, person_id, facts, begun_at) VALUES (?, ?, ?, ?)"
_CLOSE = "DELETE FROM openstream WHERE id = ?"

_log = logging.getLogger("gateway.proxy")


class Verdict(Enum):
    WRITTEN = "written"
    CHANGED = "changed"  # the consent, link or directory is not as it was judged
    USED_UP = "used up"


@dataclass(slots=True)
class Item:
    """One entry and what must be true, or become true, with it."""

    event: Event
    standing: Standing | None = None  # as judged; None: a refusal or an outcome, true under any standing
    counts: tuple[Count, ...] = ()
    once: bool = False  # this use ends the consent
    opens: str | None = None  # request id of a stream that begins
    closes: str | None = None  # and of one that ended
    verdict: Verdict | Exception | None = None
    told: "asyncio.Future[Verdict] | None" = field(default=None, repr=False)


class _UsedUp(Exception):
    """One of the items has no use left: roll back, and find out which."""


class _Busy(Exception):
    """Another process writes just now."""


class Writer:
    """Of the event loop; `start` on it. `connection` is the data plane's own: nobody else uses it."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store = store
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Item] = []
        self._at_work = False  # a round is under way: whoever comes now is of the next one
        self._busy_since: float | None = None  # on the loop's clock: the database is held by another process
        self._idle = asyncio.Event()
        self._heads: Heads = {}
        self._heads_version = -1  # of the database, at which `_heads` were right
        self._accessed: dict[str, float] = {}  # consent → when its row last got a `last_access_at`

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.connection = self._store.connect_unsynced()
        self.standings = Standings(self.connection, self._store.commits())
        self._disk = _Disk(self._store, loop) if self._store.fsync else None

    async def stop(self) -> None:
        """What was handed in is on the disk when this returns."""
        if self._loop is None:
            return
        while self._at_work:
            self._idle.clear()
            await self._idle.wait()
        self._loop = None
        if self._disk is not None:
            await asyncio.to_thread(self._disk.stop)
        self.connection.close()

    async def commit(self, item: Item) -> Verdict:
        """On the disk when this returns WRITTEN. Raises Unavailable; then nothing was given and nothing may be."""
        if self._loop is None:
            raise Unavailable("writer: not started")
        if self._disk is not None and not self._disk.alive:  # who waited for it would wait for ever
            raise Unavailable("writer: its thread has ended")
        if self._store.torn:
            raise Unavailable(f"database: {self._store.torn}")
        item.told = self._loop.create_future()
        self._waiting.append(item)
        if not self._at_work:
            self._at_work = True
            self._loop.call_soon(self._round)  # after the other calls of this turn of the loop
        return await item.told

    def fault(self) -> str:
        """Why nothing can be written any more; empty when all is well. May be asked from any thread."""
        if self._loop is None:
            return "the writer is not started"
        return self._store.tear() or (self._disk.fault() if self._disk is not None else "")

    # ---- one round: lock, write, unlock, disk, tell

    def _round(self) -> None:
        if self._store.lock.acquire(blocking=False):
            self._write_all()
        elif self._disk is not None:
            self._disk.lock(self._write_all)
        elif self._loop is not None:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)

    def _write_all(self) -> None:
        """The writer's lock is ours."""
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            self._commit(batch)
        except _Busy:
            self._waiting = batch + self._waiting
            self._again_later()
            return
        finally:
            self._store.lock.release()
        self._busy_since = None
        if self._disk is None:
            self._told(batch, None)
        else:
            self._disk.sync(lambda fault: self._told(batch, fault))

    def _again_later(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._busy_since = self._busy_since or now
        if now - self._busy_since < BUSY_SECONDS:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)
            return
        given_up, self._waiting, self._busy_since = self._waiting, [], None
        self._failed(given_up, Unavailable("database: busy"))
        self._told(given_up, None)

    def _told(self, batch: list[Item], fault: Exception | None) -> None:
        if fault is None and self._store.tear(self._store.wal):  # the other files are looked at with each other write
            fault = Unavailable(f"database: {self._store.torn}")
        for item in batch:
            told = item.told
            if told is None or told.done():
                continue
            if fault is None and isinstance(item.verdict, Verdict):
                told.set_result(item.verdict)
            else:
                error = fault or item.verdict
                told.set_exception(error if isinstance(error, Exception) else Unavailable("writer: no verdict"))
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._round)  # after the answers to those that were told
        else:
            self._at_work = False
            self._idle.set()

    # ---- one transaction

    def _commit(self, batch: list[Item]) -> None:
        """Together; if one cannot be written, each alone, so that it does not take the others with it."""
        connection = self.connection
        try:
            self._begin(connection)
            self._write(connection, batch)
            connection.execute("COMMIT")
        except _Busy:
            raise
        except Exception as error:
            self._undo(connection)
            if is_damage(error):
                self._store.damaged = True
            if isinstance(error, StoreFault) or is_damage(error):
                self._failed(batch, Unavailable(f"database: {type(error).__name__}"))
                return
            self._failed(batch, Verdict.USED_UP if isinstance(error, _UsedUp) else error)
            if len(batch) > 1:
                for item in batch:
                    self._commit([item])

    def _begin(self, connection: Connection) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except StoreFault as error:
            if "locked" in str(error):
                raise _Busy from None
            raise

    def _undo(self, connection: Connection) -> None:
        self._heads.clear()
        self._accessed.clear()
        self.standings.forget()
        if connection.in_transaction:
            with contextlib.suppress(StoreFault):
                connection.execute("ROLLBACK")

    def _failed(self, batch: list[Item], verdict: Verdict | Exception) -> None:
        for item in batch:
            item.verdict = verdict

    def _write(self, connection: Connection, batch: list[Item]) -> None:
        version = self.standings.version()
        if version != self._heads_version or len(self._heads) > HEADS_HELD:
            self._heads.clear()
            self._heads_version = version
        accepted = [item for item in batch if self._holds(item, version)]
        if not uses.spend(connection, [count for item in accepted for count in item.counts]):
            raise _UsedUp
        events: list[Event] = []
        for item in accepted:
            events.append(item.event)
            if item.standing is not None:
                self._used(connection, item, item.standing, events)
            if item.opens is not None:
                facts = json.dumps(dict(item.event.facts))
                connection.execute(_OPEN, (item.opens, item.event.person, facts, stored(item.event.at)))
            if item.closes is not None:
                connection.execute(_CLOSE, (item.closes,))
        self._log.append_all(connection, events, self._heads)

    def _holds(self, item: Item, version: int) -> bool:
        standing = item.standing
        if standing is not None and standing.version != version and not self.standings.holds(standing):
            item.verdict = Verdict.CHANGED
            return False
        item.verdict = Verdict.WRITTEN
        return True

    def _used(self, connection: Connection, item: Item, standing: Standing, events: list[Event]) -> None:
        """What becomes true of the consent with its use: when, and the end of one that was for one use (law 4)."""
        if item.once:
            end = ending.used_up(connection, standing.consent, item.event.at)
            if end is None:
                raise _UsedUp
            self.standings.forget()
            events.append(end)
        now = item.event.at.timestamp()
        if now - self._accessed.get(standing.consent, 0.0) >= ACCESS_SECONDS:
            if len(self._accessed) > HEADS_HELD:
                self._accessed.clear()
            self._accessed[standing.consent] = now
            connection.execute(
                "UPDATE consent SET last_access_at = ? WHERE id = ?", (stored(item.event.at), standing.consent)
            )


class _Disk:
    """The one thread of the writer, for what blocks: waiting for the writer's lock, and for the disk."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._log_file = os.open(store.wal, os.O_RDONLY)
        self._broken: Exception | None = None
        self.alive = True
        self._runner = threading.Thread(target=self._run, name="aval-disk", daemon=True)
        self._runner.start()

    def lock(self, then: Callable[[], None]) -> None:
        """`then` on the loop, once the writer's lock is taken; it releases it."""

        def job() -> None:
            self._store.lock.acquire()
            if not self._call(then):
                self._store.lock.release()

        self._jobs.put(job)

    def sync(self, then: Callable[[Exception | None], None]) -> None:
        """`then` on the loop, once all that was committed is on the disk; with the fault, if it is not.

        After one failed sync nobody knows what is on the disk, and a second one that succeeds would say nothing
        about it (the kernel forgets the pages): until a restart nothing is given any more.
        """

        def job() -> None:
            try:
                if self._broken is None:
                    _fdatasync(self._log_file)
            except OSError as error:
                _log.critical("disk: the log cannot be written, nothing is given any more: errno %s", error.errno)
                self._broken = Unavailable("disk: not written")
            self._call(lambda: then(self._broken))

        self._jobs.put(job)

    def fault(self) -> str:
        if not self.alive:
            return "the writer's thread has ended"
        return "" if self._broken is None else "the disk failed"

    def stop(self) -> None:
        self._jobs.put(None)
        self._runner.join(10)
        os.close(self._log_file)

    def _run(self) -> None:
        try:
            give_way()
            while (job := self._jobs.get()) is not None:
                job()
        finally:
            self.alive = False

    def _call(self, what: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop has closed: nobody waits any more
            return False
        return True


_fdatasync = getattr(os, "fdatasync", os.fsync)  # not on every system
