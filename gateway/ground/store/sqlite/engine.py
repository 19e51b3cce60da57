"""Engine, sessions and bare connections over the one SQLite file."""

import contextlib
import fcntl
import logging
import mmap
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import IO, Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, create_engine

from gateway.errors import Unavailable
from gateway.ground.store.contract import BARE, Committed, Lead, Store, translated
from gateway.ground.store.rows import RowSession
from gateway.ground.store.sqlite.committed import CommittedRows

try:  # SQLite before 3.51.3 can corrupt a WAL file that two connections reset at once; the wheel carries a newer one
    import pysqlite3 as sqlite3
except ImportError:  # pragma: no cover - platforms without the wheel
    import sqlite3

StoreFault: type[Exception] = sqlite3.OperationalError  # raised by bare connections
DatabaseFault: type[Exception] = sqlite3.DatabaseError  # its base class, also raised if the file is damaged
Connection = Any  # sqlite3.Connection of the module imported above

OLDEST_SQLITE = (3, 51, 3)
INDEX_HEADER = 48  # bytes
_log = logging.getLogger("gateway.ground.store")

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
    "PRAGMA wal_autocheckpoint=8000",  # pages (32 MB); seldom, because the same few pages are rewritten all the time
    "PRAGMA journal_size_limit=33554432",  # bytes (32 MB): after a long read the grown log is truncated to this
)


def sqlite_version() -> str:
    return str(sqlite3.sqlite_version)


def sqlite_fault() -> str:
    """Why this version of SQLite must not be used, because it could damage the database; empty: it may be used."""
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        return ""
    oldest = ".".join(map(str, OLDEST_SQLITE))
    return f"SQLite {sqlite_version()} can damage a database that two programs use; {oldest} or newer cannot"


def bare(path: Path, *, check_same_thread: bool = False) -> Connection:
    """A connection in autocommit mode that sets no pragmas, so that looking at a file does not change it."""
    return sqlite3.connect(str(path), isolation_level=None, check_same_thread=check_same_thread)


def connect(path: Path, *, fsync: bool = True, check_same_thread: bool = False) -> Connection:
    """A bare connection in autocommit mode: the caller must execute `BEGIN IMMEDIATE` and `COMMIT`."""
    connection = bare(path, check_same_thread=check_same_thread)
    try:
        _prepare(connection, fsync)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: Connection, fsync: bool) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    connection.execute(f"PRAGMA synchronous={'FULL' if fsync else 'OFF'}")


class SqliteStore(Store):
    """All access to the database of one process."""

    alone = True

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self.where = str(path)
        self.process = secrets.token_hex(8)
        self.fsync = fsync
        self.lock = threading.Lock()  # the writer's lock; never held during an outgoing call
        self.wal = path.with_name(f"{path.name}-wal")
        self.engine = create_engine(
            f"sqlite:///{path}",
            module=sqlite3,
            hide_parameters=True,  # an error message contains the statement, never a person's values
            connect_args={"check_same_thread": False},
            pool_size=16,
            max_overflow=48,
        )
        self._instance: int | None = None  # descriptor of the data folder, which `claim` has locked
        self._keeper: Connection = None  # a serving process keeps it open, so that SQLite does not remove -wal and -shm
        self._files: dict[str, tuple[int, int]] = {}  # path → device and inode when serving began
        self.files_lost = ""  # see `check_files`; once set, nothing is written any more
        self.damaged = False  # a damaged page was found; the operator must put back a good copy and restart
        self._indexes: list[IO[bytes]] = []

        @event.listens_for(self.engine, "connect")
        def _connected(raw: Connection, _record: object) -> None:
            self._refuse_lost()
            raw.isolation_level = None  # the driver must not BEGIN by itself: `read` and `write` do it
            _prepare(raw, fsync)

    def connect(self) -> Connection:
        self._refuse_lost()
        return connect(self.path, fsync=self.fsync)

    def connect_unsynced(self) -> Connection:
        """A connection for the writer of the data plane, which syncs the write-ahead log (`wal`) itself and never
        blocks. COMMIT returns before the data is on the disk (`synchronous=NORMAL`), a lock held by another process is
        an error at once, and checkpoints are left to other connections."""
        connection = self.connect()
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if self.fsync:
            connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("BEGIN IMMEDIATE")  # makes SQLite create the write-ahead log if it does not exist yet
        connection.execute("ROLLBACK")
        connection.execute("PRAGMA busy_timeout=0")  # last: until here it waits for whoever else is writing
        return connection

    def commits(self) -> Callable[[], bytes]:
        """A function that tells, without a query, whether any connection of any process has committed: while it returns
        the same bytes, none has. The bytes are the header of the write-ahead log's index (`-shm`). All processes share
        this file in memory, and every commit changes it before COMMIT returns (SQLite, "WAL-mode File Format", 2.1).

        Only valid while the caller keeps a connection open: SQLite replaces the file after the last one was closed.
        """
        index = open(self.path.with_name(f"{self.path.name}-shm"), "rb", buffering=0)
        self._indexes.append(index)  # kept open until `close`: closing any descriptor of it drops SQLite's locks
        return memoryview(mmap.mmap(index.fileno(), INDEX_HEADER, prot=mmap.PROT_READ)).tobytes

    def committed(self) -> Committed:
        return CommittedRows(self.connect(), self.commits(), self._refuse_lost)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        with translated(self), RowSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            _begin(session, "BEGIN")
            yield session  # no rollback at the end: it would expire the objects that were read; closing does not

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        with translated(self), self.lock, RowSession(self.engine, expire_on_commit=False) as session:
            self._refuse_lost()
            _begin(session, "BEGIN IMMEDIATE")
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise
            self._refuse_lost()

    def batch(self, connection: Connection, work: Callable[[Connection], object]) -> None:
        with translated(self), self.lock:
            self._refuse_lost()
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._refuse_lost()

    # ---- of a serving process

    def version(self) -> str:
        return f"SQLite {sqlite_version()}"

    def lead(self, what: str) -> Lead:
        """Always: no other process serves this database (`claim`)."""
        return _Alone(self.connect())

    def prepare_months(self, today: date) -> None:
        """All entries are in one table."""

    def fault(self) -> str:
        if lost := self.check_files():
            return lost
        return "a page of the file is damaged: put a sound copy back" if self.damaged else ""

    def note_damage(self, error: Exception) -> bool:
        self.damaged = self.damaged or is_damage(error)
        return is_damage(error)

    def is_fault(self, error: BaseException) -> bool:
        return isinstance(error, OperationalError | StoreFault)

    def check_files(self, *paths: Path) -> str:
        """Why data written now would be lost; empty: it would not. Another program may have removed or replaced a file
        that this process holds open. Data written to the old file could not be found again, so nothing is written any
        more until a restart. `paths`: the files to check; all if none is given.
        """
        if not self.files_lost:
            for path in map(str, paths) if paths else self._files:
                if path in self._files and _identity(path) != self._files[path]:
                    self.files_lost = f"{path} was removed or replaced while the gateway ran; restart it"
                    _log.critical("database: no data is given until a restart: %s", self.files_lost)
        return self.files_lost

    def _refuse_lost(self) -> None:
        """Raises Unavailable if files were lost. Called before a transaction, so that nothing is written to a lost
        file, and after COMMIT, so that no caller is told that lost data is safe."""
        if why := self.check_files():
            raise Unavailable(f"database: {why}")

    def can_write(self) -> bool:
        """Whether the database can be written. Only a write finds out: on a read-only file a transaction may still
        begin. The statement changes no row."""
        connection = self.connect()
        try:
            self.batch(connection, lambda writing: writing.execute("UPDATE directory SET generation = 0 WHERE 0"))
        except Unavailable:
            return False
        finally:
            connection.close()
        return True

    def claim(self) -> None:
        """Lock the data folder, so that no second process serves the same database (only one may write the log), and
        note the files for `check_files`."""
        folder = os.open(self.path.parent, os.O_RDONLY)  # lock the folder itself: a lock file could be deleted
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(folder)
            taken = isinstance(error, BlockingIOError)
            why = (
                f"another gateway already serves {self.path}; stop that one first"
                if taken
                else f"{self.path.parent}: {error.strerror}"
            )
            raise Unavailable(why) from None
        self._instance = folder
        self._keeper = self.connect_unsynced()
        self._files = {path: _identity(path) for path in (str(self.wal), f"{self.path}-shm", str(self.path))}

    def close(self) -> None:
        self.engine.dispose()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        self._files.clear()
        for index in self._indexes:
            index.close()
        self._indexes.clear()
        if self._instance is not None:
            os.close(self._instance)
            self._instance = None


class _Alone:
    """The lead where there is nobody else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def taken(self) -> Connection:
        return self._connection

    def close(self) -> None:
        self._connection.close()


def _begin(session: Session, statement: str) -> None:
    connection: Connection = session.connection().connection.driver_connection
    connection.execute(statement)
    session.info[BARE] = connection


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def is_damage(error: Exception) -> bool:
    """Whether the error means damaged pages ("malformed", "not a database"). The driver raises DatabaseError itself for
    these, and subclasses of it for faults of statements and values."""
    return type(getattr(error, "orig", error)) is sqlite3.DatabaseError
