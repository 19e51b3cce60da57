"""What every store does, whichever engine is below it, and the few functions rooms need on a session's connection.

    read    a snapshot through the ORM; writes nothing
    write   one transaction through the ORM; commits at the end, rolls back on an exception
    batch   many small writes of bare SQL in one transaction
    turn    from now to the end of the transaction nobody else has the turn of this key

A bare connection takes `?` for values and gives instants, dates and JSON as text, on both engines.
"""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Protocol

from sqlalchemy import Engine, QueuePool
from sqlmodel import Session

from gateway.errors import Unavailable


class Connection(Protocol):
    """A bare connection in autocommit mode: `batch` begins and commits."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Any: ...
    def executemany(self, statement: str, rows: Sequence[Sequence[Any]], /) -> Any: ...
    def close(self) -> None: ...


# What a bare SELECT of one row finds: of the session's transaction (`row_of`), or of what is committed (`Committed`).
Row = Callable[[str, tuple[Any, ...]], tuple[Any, ...] | None]


class Committed(Protocol):
    """Single rows as they are committed at the moment of each call."""

    def require_whole(self) -> None:
        """Raises Unavailable: the database was removed or replaced, and what is read here is not in it any more."""

    def one(self, statement: str, values: tuple[Any, ...], /) -> tuple[Any, ...] | None: ...
    def close(self) -> None: ...


# Of a session's `info`:
NOTED = "noted"
BARE = "bare"  # its bare connection, where it has one from its beginning to its end


@dataclass
class Noted:
    """What is known of the transaction under way."""

    turns: set[str] = field(default_factory=set)  # the keys whose turns it has taken
    proof: tuple[str, Sequence[Any]] | None = None  # a statement that finds a row once it has been committed
    ends: bool = False  # something that allowed data to leave ends with it (`statements.ends`)

    def clear(self) -> None:
        self.turns, self.proof, self.ends = set(), None, False


class Remote(ABC):
    """A bare connection to a server that many processes write to (postgres/bare.py). What is asked of it beyond any
    other; this class, so that who only has a file need not load the server's driver."""

    noted: Noted

    @abstractmethod
    def turns(self, keys: Iterable[str]) -> None: ...

    @abstractmethod
    def turn_beside(self, key: str) -> None: ...

    @abstractmethod
    def streamed(self, statement: str) -> Iterator[Any]: ...

    @abstractmethod
    def unhurried(self) -> None:
        """From now on its statements may take as long as they need, and what is done between two of them minutes."""


TRIES = 3  # of a transaction that others were in the way of, wherever it can be done again as a whole


class Clash(Unavailable):
    """Two transactions got in each other's way, and the database has undone this one whole: it may be done again."""

    public = "Somebody else changed this at the same moment. Try again."


class Lead(Protocol):
    """The lead of one kind of work, which at most one process has. What the leader writes, it writes on the connection
    of the lead: when it has lost that, it can write nothing more."""

    def taken(self) -> Connection | None:
        """The connection, if this process leads now; None: another one does. Raises Unavailable."""

    def close(self) -> None: ...


class Store(ABC):
    """All access to one database."""

    engine: Engine
    where: str  # names the database in messages; holds no password
    fsync: bool  # commits reach the disk before they are acknowledged; only tests and benches say no
    alone: bool  # True: this process is the only one that serves this database
    leaving_at_once = 100  # rows of a kind that are deleted in one transaction: others wait some milliseconds for it
    process: str  # names this process among those that serve this database
    # Told of each transaction that failed by a fault of the database: clash, unavailable or damaged.
    told: Callable[[str], None] = staticmethod(lambda kind: None)

    # ---- transactions

    @abstractmethod
    def read(self) -> contextlib.AbstractContextManager[Session]:
        """A snapshot through the ORM. Raises Unavailable."""

    def read_apart(self) -> contextlib.AbstractContextManager[Session]:
        """The same where pages cannot take all connections away: for what data calls wait for. One at a time."""
        return self.read()

    @abstractmethod
    def write(self) -> contextlib.AbstractContextManager[Session]:
        """One transaction through the ORM. Raises Unavailable, and Clash if it may be done again."""

    @abstractmethod
    def connect(self) -> Connection:
        """A bare connection. Raises Unavailable."""

    @abstractmethod
    def batch(self, connection: Connection, work: Callable[[Any], object]) -> None:
        """Run `work` in one transaction on `connection`. Returns when it is committed, on the disk. Raises
        Unavailable."""

    # ---- of a serving process

    @abstractmethod
    def version(self) -> str:
        """The engine and its version, as people read them. Raises Unavailable."""

    @abstractmethod
    def claim(self) -> None:
        """Begin to serve. Raises Unavailable where another process already serves a database that allows only one."""

    @abstractmethod
    def lead(self, what: str) -> Lead:
        """A try for the lead of this kind of work."""

    @abstractmethod
    def prepare_months(self, today: date) -> None:
        """Make ready the tables of the months to come, where entries are kept by month. Raises Unavailable."""

    def committed(self) -> Committed | None:
        """Rows that can be read without waiting, on the event loop; None: this database has to be asked. Raises
        Unavailable."""
        return None

    def connections(self) -> tuple[int, int]:
        """Of those for pages: how many are in use, and how many could be."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            return 0, 0
        return pool.checkedout(), pool.size() + max(0, pool._max_overflow)

    @abstractmethod
    def fault(self) -> str:
        """Why nothing may be written any more until a restart; empty: all is well."""

    @abstractmethod
    def can_write(self) -> bool:
        """Whether the database can be written, tried by a statement that changes no row."""

    @abstractmethod
    def note_damage(self, error: Exception) -> bool:
        """Whether this error means that the stored data itself is damaged; then `fault` says so from now on."""

    @abstractmethod
    def is_fault(self, error: BaseException) -> bool:
        """Whether the database could not do it now, as opposed to a statement that is wrong."""

    @abstractmethod
    def close(self) -> None: ...


class translated:
    """Turns faults of the database into `Unavailable` (503), so that no fault looks like an invalid token or unknown
    person."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, Unavailable):
            return
        if self._store.note_damage(error):
            self._store.told("damaged")
            raise Unavailable("database: a page of the file is damaged") from error
        if self._store.is_fault(error):
            self._store.told("clash" if is_clash(error) else "unavailable")
            raise (Clash if is_clash(error) else Unavailable)(f"database: {name_of(error)}") from error


def name_of(error: BaseException) -> str:
    """The kind of a fault: its message may hold what was asked for."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f"{type(cause).__name__} {state}" if state else type(cause).__name__


DIRECTORY = "directory"  # the turn of whoever changes apps or organisations
CLASHES = ("40001", "40P01")  # serialization_failure, deadlock_detected


def is_clash(error: BaseException) -> bool:
    """Whether the database has undone a transaction because another was in its way."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) in CLASHES


def key_of(name: str) -> int:
    """The number of an advisory lock: 64 bits, signed. Two names that share one merely wait for one another."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def stored(at: datetime) -> str:
    """An instant as bare statements write it: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def instant(text: str) -> datetime:
    """An instant as bare statements read it."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
