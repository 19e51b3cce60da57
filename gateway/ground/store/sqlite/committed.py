"""Rows as they are committed, for who may not wait: read on the event loop, and remembered until anybody commits."""

from collections.abc import Callable, Sequence
from typing import Any

from gateway.ground.store.contract import Connection

HELD = 10_000  # rows remembered


class Version:
    """What one connection's rows are of: another number when another connection has committed.

    SQLite's data version tells that; it is asked for only when the bytes of `commits` have changed. Commits of this
    connection itself do not change it.
    """

    def __init__(self, connection: Connection, commits: Callable[[], bytes]) -> None:
        self._connection = connection
        self._commits = commits
        self._seen = b""
        self._version = -1

    def now(self) -> int:
        seen = self._commits()
        if seen != self._seen:
            self._version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            # Keep the bytes read before the query. A commit between the two is then noticed at the next call, not
            # missed.
            self._seen = seen
        return self._version


class CommittedRows:
    """By bare SELECTs of one row. What uses it writes nothing on this connection. `refuse_lost`: raises Unavailable
    where the file is not the one any more that was opened."""

    def __init__(self, connection: Connection, commits: Callable[[], bytes], refuse_lost: Callable[[], None]) -> None:
        self._refuse_lost = refuse_lost
        self._connection = connection
        self._version = Version(connection, commits)
        self._of = -1
        self._held: dict[tuple[str, Sequence[Any]], tuple[Any, ...] | None] = {}

    def require_whole(self) -> None:
        self._refuse_lost()

    def one(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The row as it is in the database now; None: there is none. Raises the driver's faults."""
        version = self._version.now()  # before the row: see `Standings.get`
        if version != self._of or len(self._held) >= HELD:
            self._held.clear()
            self._of = version
        key = statement, values
        if key not in self._held:
            row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
            self._held[key] = row
            return row
        return self._held[key]

    def close(self) -> None:
        self._connection.close()
