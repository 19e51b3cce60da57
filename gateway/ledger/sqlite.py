"""The ledger on SQLite: one connection on the event loop, one transaction for all calls that wait, then the disk.

    event loop   one transaction for all of them           microseconds, in the page cache
    disk thread  fdatasync of the write-ahead log          the slow part; neither loop nor lock waits for it

Judging and writing share one connection: what was read for judging needs no second read in the transaction unless
another connection has committed since.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from gateway.errors import Unavailable
from gateway.ground.store import Connection
from gateway.ground.store.sqlite.committed import Version
from gateway.ground.store.sqlite.engine import SqliteStore, StoreFault, is_damage
from gateway.ground.store.threads import give_way
from gateway.ledger.contract import Item, Key, Told, Verdict
from gateway.ledger.standing import HELD, Standing
from gateway.ledger.transaction import Transaction, UsedUp
from gateway.log import Log
from gateway.log.record import Heads

HEADS_HELD = 4096
BUSY_SECONDS = 5.0  # how long to wait while another process holds the database
BUSY_STEP_SECONDS = 0.005

_USED = 'SELECT used FROM "use" WHERE consent_id = ? AND item = ? AND "window" = ? AND start = ?'
# The unary plus keeps SQLite off link's organisation_id index: one organisation may have linked every person, and the
# lookup would become a scan.
_SELECT = """
    SELECT c.person_id, c.app_id, c.state, c.reason, c.generation, d.generation, p.birth_date, l.id, l.generation,
           f.id IS NOT NULL AND f.ended_at IS NULL AND f.version >= c.tokens_from
      FROM consent c
      LEFT JOIN tokenfamily f ON f.id = ? AND f.consent_id = c.id AND f.client_id = c.app_id
      LEFT JOIN directory d ON d.id = 1
      LEFT JOIN person p ON p.id = c.person_id
      LEFT JOIN link l ON l.person_id = c.person_id AND +l.organisation_id = ? AND l.ended_at IS NULL
     WHERE c.id = ?"""

_log = logging.getLogger("gateway.proxy")


class Standings:
    """Standings as one connection sees them. A row read is reused until another connection commits (`Version`). Code
    that changes a standing on this connection must call `forget`.
    """

    def __init__(self, connection: Connection, commits: Callable[[], bytes]) -> None:
        self._connection = connection
        self._now = Version(connection, commits)
        self._version = -1
        self._held: dict[tuple[str, str, str], Standing] = {}

    def version(self) -> int:
        version = self._now.now()
        if version != self._version:
            self._held.clear()
            self._version = version
        return version

    def forget(self) -> None:
        self._held.clear()

    def get(self, consent: str, family: str, organisation: str) -> Standing | None:
        # The version is read before the row. If a commit falls between them, the row is newer than its version says
        # and is read once more than needed; the other way round a change could be missed.
        version = self.version()
        key = consent, family, organisation
        found = self._held.get(key)
        if found is None:
            row = self._row(*key)
            if row is None:
                return None
            if len(self._held) >= HELD:
                self._held.clear()
            found = self._held[key] = Standing(*key, version, row)
        return found

    def holds(self, standing: Standing) -> bool:
        """Whether the row is still the same."""
        return bool(standing.row == self._row(standing.consent, standing.family, standing.organisation))

    def _row(self, consent: str, family: str, organisation: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(_SELECT, (family, organisation, consent)).fetchone()
        return row


class _Busy(Exception):
    """Another process is writing to the database."""


class SqliteLedger:
    """Only the data plane uses `connection`."""

    exact = True

    def __init__(self, store: SqliteStore, log: Log) -> None:
        self._store = store
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batch: list[Item] = []  # being written
        self._told: Told = lambda _: None
        self._busy_since: float | None = None  # since when another process holds the database (loop.time())
        self._heads: Heads = {}
        self._heads_version = -1  # SQLite's data version for which `_heads` is right
        self._transaction = Transaction(log, store.process, self._holds)

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.connection = self._store.connect_unsynced()
        self.standings = Standings(self.connection, self._store.commits())
        self._disk = _Disk(self._store, loop) if self._store.fsync else None

    async def stop(self) -> None:
        if self._loop is None:
            return
        self._loop = None
        if self._disk is not None:
            await asyncio.to_thread(self._disk.stop)
        self.connection.close()

    def fault(self) -> str:
        if self._loop is None:
            return "the writer is not started"
        return self._store.check_files() or (self._disk.fault() if self._disk is not None else "")

    # ---- reading

    def held(self, consent: str, family: str, organisation: str) -> Standing | None:
        return self.standings.get(consent, family, organisation)

    async def standing(self, consent: str, family: str, organisation: str) -> Standing | None:
        return self.standings.get(consent, family, organisation)

    async def used(self, keys: Sequence[Key]) -> list[int]:
        found = [self.connection.execute(_USED, key).fetchone() for key in keys]
        return [row[0] if row else 0 for row in found]

    async def listed(self, listing: bytes, now: float) -> bool:
        return False  # no other process counts

    # ---- one batch: lock, write, unlock, disk, tell

    def commit(self, batch: list[Item], told: Told) -> None:
        if self._disk is not None and not self._disk.alive:  # without this check the calls would wait for ever
            told(Unavailable("writer: its thread has ended"))
        elif self._store.files_lost:
            told(Unavailable(f"database: {self._store.files_lost}"))
        else:
            self._batch, self._told = batch, told
            self._round()

    def _round(self) -> None:
        if self._store.lock.acquire(blocking=False):
            self._write_all()
        elif self._disk is not None:
            self._disk.lock(self._write_all)
        elif self._loop is not None:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)

    def _write_all(self) -> None:
        """Called with the writer's lock held; releases it."""
        try:
            self._commit(self._batch)
        except _Busy:
            self._again_later()
            return
        finally:
            self._store.lock.release()
        self._busy_since = None
        if self._disk is None:
            self._answer(None)
        else:
            self._disk.sync(self._answer)

    def _again_later(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._busy_since = self._busy_since or now
        if now - self._busy_since < BUSY_SECONDS:
            self._loop.call_later(BUSY_STEP_SECONDS, self._round)
            return
        self._busy_since = None
        self._answer(Unavailable("database: busy"))

    def _answer(self, fault: Exception | None) -> None:
        if fault is None and self._store.check_files(self._store.wal):  # every other write checks the other files
            fault = Unavailable(f"database: {self._store.files_lost}")
        self._told(fault)

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
            self._store.note_damage(error)
            if isinstance(error, StoreFault) or is_damage(error):
                self._failed(batch, Unavailable(f"database: {type(error).__name__}"))
                return
            self._failed(batch, error)
            if len(batch) > 1:
                for item in batch:
                    try:
                        self._commit([item])
                    except _Busy:  # those before it are written: the batch must not be tried again as a whole
                        item.verdict = Unavailable("database: busy")

    def _begin(self, connection: Connection) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except StoreFault as error:
            if "locked" in str(error):
                raise _Busy from None
            raise

    def _undo(self, connection: Any) -> None:
        self._heads.clear()
        self._transaction.undone()
        self.standings.forget()
        if connection.in_transaction:
            with contextlib.suppress(StoreFault):
                connection.execute("ROLLBACK")

    def _failed(self, batch: list[Item], error: Exception) -> None:
        for item in batch:
            if isinstance(error, UsedUp):
                item.verdict, item.used_up = Verdict.USED_UP, error.count
            else:
                item.verdict = error

    def _write(self, connection: Connection, batch: list[Item]) -> None:
        version = self.standings.version()
        if version != self._heads_version or len(self._heads) > HEADS_HELD:
            self._heads.clear()
            self._heads_version = version
        if self._transaction.write(connection, batch, self._heads):
            self.standings.forget()

    def _holds(self, _: Connection, standing: Standing) -> bool:
        return standing.version == self._heads_version or self.standings.holds(standing)


class _Disk:
    """The writer's one thread, for the two things that block: waiting for the writer's lock and for the disk."""

    def __init__(self, store: SqliteStore, loop: asyncio.AbstractEventLoop) -> None:
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
