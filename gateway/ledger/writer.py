"""The writer: puts log entries on the disk before the answers leave, many calls in one commit.

    calls ── commit ──┐ gathered while the disk is busy
                      ▼
    event loop   one transaction for all of them           microseconds, in the page cache
    disk thread  fdatasync of the write-ahead log          the slow part; neither loop nor lock waits for it
    event loop   every call gets its verdict, and the next batch is written

The transaction that writes an entry also checks that the consent is still as it was judged. If not, nothing is
written and the call gets `CHANGED`. So no access is recorded, and no data given, under terms that have already ended.
Judging and writing share one connection: what was read for judging needs no second read in the transaction unless
another connection has committed since.
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
ACCESS_SECONDS = 60  # a consent's `last_access_at` is written at most this often
BUSY_SECONDS = 5.0  # how long to wait while another process holds the database
BUSY_STEP_SECONDS = 0.005

_OPEN = "INSERT INTO openstream (id, person_id, facts, begun_at) VALUES (?, ?, ?, ?)"
_CLOSE = "DELETE FROM openstream WHERE id = ?"

_log = logging.getLogger("gateway.proxy")


class Verdict(Enum):
    WRITTEN = "written"
    CHANGED = "changed"  # the consent, link or directory is not as it was judged, or the log was frozen since
    USED_UP = "used up"


@dataclass(slots=True)
class Item:
    """One log entry, the conditions for writing it, and what else is written with it."""

    event: Event
    standing: Standing | None = None  # as judged; None: a refusal or an outcome, which no change makes wrong
    counts: tuple[Count, ...] = ()
    once: bool = False  # this use ends the consent
    opens: str | None = None  # request id of a stream that begins
    closes: str | None = None  # request id of a stream that has ended
    verdict: Verdict | Exception | None = None
    answer: "asyncio.Future[Verdict] | None" = field(default=None, repr=False)


class _UsedUp(Exception):
    """A limit of some item in the batch is used up: roll back, then write the items one by one to find out which."""


class _Busy(Exception):
    """Another process is writing to the database."""


class Writer:
    """Used on the event loop only, from `start` on. Only the data plane uses `connection`."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store = store
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Item] = []
        self._at_work = False  # a round is running: an item that comes now waits for the next one
        self._busy_since: float | None = None  # since when another process holds the database (loop.time())
        self._idle = asyncio.Event()
        self._heads: Heads = {}
        self._heads_version = -1  # SQLite's data version for which `_heads` is right
        self._accessed: dict[str, float] = {}  # consent → when its `last_access_at` was last written

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.connection = self._store.connect_unsynced()
        self.standings = Standings(self.connection, self._store.commits())
        self._disk = _Disk(self._store, loop) if self._store.fsync else None

    async def stop(self) -> None:
        """Returns when everything handed in is on the disk."""
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
        """WRITTEN: the item is on the disk. Raises Unavailable: it may not be, and no data may be given."""
        if self._loop is None:
            raise Unavailable("writer: not started")
        if self._disk is not None and not self._disk.alive:  # without this check the call would wait for ever
            raise Unavailable("writer: its thread has ended")
        if self._store.files_lost:
            raise Unavailable(f"database: {self._store.files_lost}")
        item.answer = self._loop.create_future()
        self._waiting.append(item)
        if not self._at_work:
            self._at_work = True
            self._loop.call_soon(self._round)  # after the other calls of this loop turn, so that they join the batch
        return await item.answer

    def fault(self) -> str:
        """Why nothing can be written any more; empty when all is well. Callable from any thread."""
        if self._loop is None:
            return "the writer is not started"
        return self._store.check_files() or (self._disk.fault() if self._disk is not None else "")

    # ---- one round: lock, write, unlock, disk, tell

    def _round(self) -> None:
        if self._store.lock.acquire(blocking=False):
            self._write_all()
        elif self._disk is not None:
            self._disk.lock(self._write_all)
        elif self._loop is not None:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)

    def _write_all(self) -> None:
        """Called with the writer's lock held; releases it."""
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
            self._answer(batch, None)
        else:
            self._disk.sync(lambda fault: self._answer(batch, fault))

    def _again_later(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._busy_since = self._busy_since or now
        if now - self._busy_since < BUSY_SECONDS:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)
            return
        given_up, self._waiting, self._busy_since = self._waiting, [], None
        self._failed(given_up, Unavailable("database: busy"))
        self._answer(given_up, None)

    def _answer(self, batch: list[Item], fault: Exception | None) -> None:
        if fault is None and self._store.check_files(self._store.wal):  # every other write checks the other files
            fault = Unavailable(f"database: {self._store.files_lost}")
        for item in batch:
            answer = item.answer
            if answer is None or answer.done():
                continue
            if fault is None and isinstance(item.verdict, Verdict):
                answer.set_result(item.verdict)
            else:
                error = fault or item.verdict
                answer.set_exception(error if isinstance(error, Exception) else Unavailable("writer: no verdict"))
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._round)  # after the calls just answered have gone on
        else:
            self._at_work = False
            self._idle.set()

    # ---- one transaction

    def _commit(self, batch: list[Item]) -> None:
        """Write the batch in one transaction. If that fails, write each item alone: one bad item must not fail all."""
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
        if standing is not None and (
            self._log.frozen or (standing.version != version and not self.standings.holds(standing))
        ):
            item.verdict = Verdict.CHANGED
            return False
        item.verdict = Verdict.WRITTEN
        return True

    def _used(self, connection: Connection, item: Item, standing: Standing, events: list[Event]) -> None:
        """Update the consent that was used: note when, and end it if it was for one use."""
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
    """The writer's one thread, for the two things that block: waiting for the writer's lock and for the disk."""

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
        """Take the writer's lock, then run `then` on the loop; `then` must release the lock."""

        def job() -> None:
            self._store.lock.acquire()
            if not self._call(then):
                self._store.lock.release()

        self._jobs.put(job)

    def sync(self, then: Callable[[Exception | None], None]) -> None:
        """Sync the disk, then run `then` on the loop: with None when all that was committed is on it, else the fault.

        After a failed sync the kernel may drop the unwritten pages, so a later sync can succeed although data is lost.
        After one failure every later call therefore gets the fault too, until a restart.
        """

        def job() -> None:
            try:
                if self._broken is None:
                    _fdatasync(self._log_file)
            except OSError as error:
                _log.critical(
                    "disk: the log cannot be written, so no data is given until a restart: errno %s", error.errno
                )
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
        except RuntimeError:  # the loop has closed, so no call is waiting any more
            return False
        return True


_fdatasync = getattr(os, "fdatasync", os.fsync)  # not on every system
