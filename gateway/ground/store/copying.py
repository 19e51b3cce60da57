"""Moving a stopped gateway's database into another one, of the same engine or the other.

    1. both ends are claimed: nobody serves either of them until the copy ends
    2. the target is made ready, in one transaction: it is empty, and from now on no gateway serves it (`migrate`)
    3. table by table, each after those it refers to, in batches in the order of the key. With each batch, in its
       transaction, the key of its last row is kept (table `storecopy` of the target): a copy that was killed goes on
       behind it when it is begun again, and no row is written twice
    4. both ends are read again, and every table must have the same rows on both
    5. what was set aside is put back, and the target may be served, in one transaction

The caller hands in the tables, and says between 4 and 5 whether what he knows of them holds.

Ids of the log's entries stay as they are. PostgreSQL keeps entries by the month above 44 bits of their id, and those
that SQLite numbered have none: they get a partition of their own, `logentry_before`. The one for months without a
partition would take them, too; but whenever a month's partition is made PostgreSQL reads through all of that one, and
everybody waits meanwhile. Back on SQLite, the next id is the largest one and 1: of the same month, and with the next
running number, by which entries that wait are ordered.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg
from sqlalchemy import MetaData

from gateway.ground.store import tables
from gateway.ground.store.copying_rows import Digest, NotCopied, Row, Shape, shapes
from gateway.ground.store.migrate import COPYING, HEAD
from gateway.ground.store.postgres import months
from gateway.ground.store.sqlite.engine import DatabaseFault

FAULTS = (psycopg.Error, DatabaseFault, OSError)  # of a database that cannot do it
BATCH = 4000  # rows
ALIVE_SECONDS = 30
# Of the log: the two tables that the engines themselves keep differently (postgres/months.py, waiting.py).
ENTRIES, WAITING = "logentry", "logwaiting"
_ANEW = "copy into a new, empty one"
# What a gateway writes for itself before anybody comes; a copy replaces it.
_OWN = {
    each.__tablename__
    for each in (tables.SchemaServes, tables.KeyCheck, tables.SigningKeyRow, tables.Directory, tables.Process)
}
_KEEP = "INSERT INTO storecopy (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

Tell = Callable[[str, int], None]  # what is done now, how many rows were done since the last time


class Side(ABC):
    """One end of a copy. `connection`: a bare one, in autocommit mode, alone in using the database once claimed."""

    where: str
    connection: Any

    @abstractmethod
    def claim(self) -> None:
        """From now to `close` no gateway serves it. Raises Unavailable where one does."""

    @abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[None]: ...

    @abstractmethod
    def holds(self, table: str) -> bool:
        """Whether there is such a table."""

    @abstractmethod
    def read(self, statement: str, values: Sequence[Any], shape: Shape) -> list[Row]: ...

    @abstractmethod
    def put(self, shape: Shape, rows: Sequence[Row]) -> None:
        """Raises NotCopied when this engine cannot hold one of them."""

    @abstractmethod
    def set_aside(self, tables: Sequence[Shape]) -> list[str]:
        """Take off what must not work on copied rows. Returns the statements that put it back."""

    @abstractmethod
    def make_room(self, source: "Side") -> None:
        """For the log's entries of the source. Raises NotCopied when they cannot go on here."""

    @abstractmethod
    def settle(self, tables: Sequence[Shape]) -> None:
        """What comes after the copied rows is numbered behind them, and the planner knows how many there are."""

    @abstractmethod
    def check(self) -> None:
        """Raises NotCopied where a row refers to one that is not there."""

    @abstractmethod
    def close(self) -> None: ...

    def batches(self, shape: Shape, after: Sequence[Any] | None = None) -> Iterator[list[Row]]:
        """All rows, in the order of the key, or those behind this key."""
        order = f"ORDER BY {shape.key_listed} LIMIT {BATCH}"
        marks = ", ".join("?" * len(shape.key))
        behind = f"WHERE ({shape.key_listed}) > ({marks})"
        while True:
            where = "" if after is None else behind
            rows = self.read(f"SELECT {shape.listed} FROM {shape.table} {where} {order}", after or (), shape)
            if rows:
                yield rows
                after = shape.key_of(rows[-1])
            if len(rows) < BATCH:
                return


def largest_ids(side: Side) -> dict[int, int]:
    """Month → the largest id of its entries: one look into an index for each."""
    found: dict[int, int] = {}
    begin = 0
    while first := _one(side, f"SELECT min(id) FROM {ENTRIES} WHERE id >= ?", begin):
        month = first >> months.BITS
        begin = (month + 1) << months.BITS
        found[month] = _one(side, f"SELECT max(id) FROM {ENTRIES} WHERE id < ?", begin)
    return found


def running(entry: int) -> int:
    return entry & months.RUNNING


def _one(side: Side, statement: str, *values: Any) -> Any:
    row = side.connection.execute(statement, values).fetchone()
    return row[0] if row else None


class StoreCopy:
    """One copy; its steps are called in the order of the theory above. `known`: names the source and its state."""

    def __init__(self, source: Side, target: Side, metadata: MetaData, known: str, tell: Tell) -> None:
        self.source, self.target = source, target
        self.tables = shapes(metadata)
        self.rows = 0
        self.resumed = False
        self.known, self._known, self._tell = known, f"{HEAD} {known}", tell

    def begin(self) -> None:
        """2. Raises NotCopied when the target holds something else."""
        if self.target.holds("storecopy"):
            self.resumed = True
            if self._kept("source") != self._known:
                raise NotCopied(
                    f"{self.target.where}: holds a part of another gateway's copy, or of this one's before it went on;"
                    f" {_ANEW}"
                )
            return
        for shape in self.tables:
            if shape.name not in _OWN and self._any(shape):
                raise NotCopied(f"{self.target.where}: is not empty (table {shape.name}); {_ANEW}")
        self._make_ready()

    def _make_ready(self) -> None:
        target = self.target
        with target.transaction():
            target.connection.execute("CREATE TABLE storecopy (name varchar PRIMARY KEY, value varchar NOT NULL)")
            self._keep("source", self._known)
            for shape in reversed(self.tables):
                if shape.name in _OWN:
                    target.connection.execute(f"DELETE FROM {shape.table}")
            target.make_room(self.source)
            self._keep("back", msgspec.json.encode(target.set_aside(self.tables)).decode())
            target.connection.execute("UPDATE alembic_version SET version_num = ?", (COPYING,))

    def copy(self) -> None:
        """3. Raises NotCopied when the target cannot hold a row."""
        for shape in self.tables:
            done, after = self._progress(shape)
            self._tell(f"copied {shape.name}", done)
            for rows in self.source.batches(shape, after):
                done += len(rows)
                with self.target.transaction():
                    self.target.put(shape, rows)
                    self._keep(shape.name, _packed([done, shape.key_of(rows[-1])]))
                self._tell(f"copied {shape.name}", len(rows))

    def compare(self) -> None:
        """4. Raises NotCopied when a table is not the same."""
        self.rows = 0
        for shape in self.tables:
            here, there = (self._digest(side, shape) for side in (self.source, self.target))
            if here.rows != there.rows:
                raise NotCopied(f"table {shape.name}: {here.rows} rows, and {there.rows} in the copy; {_ANEW}")
            if here != there:
                raise NotCopied(f"table {shape.name}: a row is not the same in the copy; {_ANEW}")
            self.rows += here.rows
        self.target.check()

    def end(self) -> None:
        """5."""
        target = self.target
        with target.transaction():
            for statement in msgspec.json.decode(self._kept("back"), type=list[str]):
                target.connection.execute(statement)
            target.settle(self.tables)
            target.connection.execute("UPDATE alembic_version SET version_num = ?", (HEAD,))
            target.connection.execute("DROP TABLE storecopy")

    def _digest(self, side: Side, shape: Shape) -> Digest:
        digest = Digest()
        self._tell(f"compared {shape.name}", 0)
        for rows in side.batches(shape):
            digest.add(rows)
            self._tell(f"compared {shape.name}", len(rows))
        return digest

    def _any(self, shape: Shape) -> bool:
        return _one(self.target, f"SELECT 1 FROM {shape.table} LIMIT 1") is not None

    def _progress(self, shape: Shape) -> tuple[int, list[Any] | None]:
        kept = self._kept(shape.name)
        return msgspec.msgpack.decode(bytes.fromhex(kept), type=tuple[int, list[Any]]) if kept else (0, None)

    def _kept(self, name: str) -> str:
        return str(_one(self.target, "SELECT value FROM storecopy WHERE name = ?", name) or "")

    def _keep(self, name: str, value: str) -> None:
        self.target.connection.execute(_KEEP, (name, value))


def _packed(value: Any) -> str:
    return msgspec.msgpack.encode(value).hex()
