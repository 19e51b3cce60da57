"""SQLite as one end of a copy."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.ground.store.copying import WAITING, Side, largest_ids, running
from gateway.ground.store.copying_rows import NotCopied, Row, Shape, from_sqlite, to_sqlite
from gateway.ground.store.sqlite.copying import missing_rows
from gateway.ground.store.sqlite.engine import SqliteStore


class SqliteSide(Side):
    """Of a file that is there."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.where = store.where

    def claim(self) -> None:
        self._store.claim()
        self.connection = self._store.connect()
        self.connection.text_factory = _text
        self.connection.execute("PRAGMA foreign_keys=OFF")  # a person may come before her guardian; `check` is later

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def holds(self, table: str) -> bool:
        found = self.connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
        return found.fetchone() is not None

    def read(self, statement: str, values: Sequence[Any], shape: Shape) -> list[Row]:
        return from_sqlite(shape, self.connection.execute(statement, values))

    def put(self, shape: Shape, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" * len(shape.columns))
        self.connection.executemany(
            f"INSERT INTO {shape.table} ({shape.listed}) VALUES ({marks})", to_sqlite(shape, rows)
        )

    def set_aside(self, tables: Sequence[Shape]) -> list[str]:
        found = self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in found:
            self.connection.execute(f'DROP TRIGGER "{name}"')
        return [sql for _, sql in found]

    def make_room(self, source: Side) -> None:
        """The next entry's running number is the largest id's and 1. Around the end of a month PostgreSQL may have
        numbered entries of the old one higher; while such an entry waits, a later one would come before it."""
        largest = max(largest_ids(source).values(), default=0)
        waiting = source.connection.execute(f"SELECT entry_id FROM {WAITING}").fetchall()
        if any(running(entry) > running(largest) for (entry,) in waiting):
            raise NotCopied(
                f"{source.where}: entries of the log wait for their index; start the gateway there once more, "
                "stop it in order, and copy again"
            )

    def settle(self, tables: Sequence[Shape]) -> None:
        """SQLite gives a new row the largest id and 1 by itself."""

    def check(self) -> None:
        if lost := missing_rows(self.connection):
            raise NotCopied(f"{self.where}: {'; '.join(lost)}")

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
        self._store.close()


def _text(raw: bytes) -> str:
    """What is not UTF-8 is found when its row is looked at, and can be named."""
    return raw.decode("utf-8", "surrogateescape")
