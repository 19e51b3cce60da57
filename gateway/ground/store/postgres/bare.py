"""A psycopg connection spoken to as a bare SQLite connection is: `?` for values; instants, dates and JSON as text."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import psycopg
from psycopg.adapt import Loader

from gateway.ground.store.contract import Noted, Remote, key_of
from gateway.ground.store.postgres.patient import Patient

STREAMED = 2000  # rows fetched at once
_AS_TEXT = ("timestamptz", "timestamp", "date", "json", "jsonb")
_TURNS = "SELECT pg_advisory_xact_lock(key) FROM (SELECT unnest(%s::bigint[]) AS key ORDER BY 1) AS turns"


class _Text(Loader):
    def load(self, data: Any) -> str:
        return bytes(data).decode()


@cache
def marks(statement: str) -> str:
    """The statement with psycopg's marks for values. None of ours has a question mark in a text."""
    return statement.replace("%", "%%").replace("?", "%s")


class Bare(Remote):
    """In autocommit mode where the connection is; of a session: in the session's transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]", noted: Noted | None = None) -> None:
        self.psycopg = connection
        self.noted = noted or Noted()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> "psycopg.Cursor[Any]":
        return self._cursor().execute(marks(statement), values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> "psycopg.Cursor[Any]":
        cursor = self._cursor()
        cursor.executemany(marks(statement), rows)
        return cursor

    def streamed(self, statement: str) -> Iterator[Any]:
        """By a cursor on the server, inside a transaction."""
        with self.psycopg.cursor(name=f"streamed_{secrets.token_hex(4)}") as cursor:
            cursor.itersize = STREAMED
            cursor.execute(marks(statement))
            yield from cursor

    def unhurried(self) -> None:
        self.psycopg.execute("SET statement_timeout = 0")
        self.psycopg.execute("SET idle_in_transaction_session_timeout = '10min'")
        if isinstance(self.psycopg, Patient):
            self.psycopg.patience = None

    def turns(self, keys: Iterable[str]) -> None:
        """Take the turns of all these keys, in the order of their numbers, so that two who want several wait for one
        another and not both for ever."""
        wanted = set(keys) - self.noted.turns
        if wanted:
            self.psycopg.execute(_TURNS, [[key_of(key) for key in wanted]])
            self.noted.turns |= wanted

    def turn_beside(self, key: str) -> None:
        self.psycopg.execute("SELECT pg_advisory_xact_lock_shared(%s)", [key_of(key)])

    def close(self) -> None:
        self.psycopg.close()

    def _cursor(self) -> "psycopg.Cursor[Any]":
        cursor = self.psycopg.cursor()
        for name in _AS_TEXT:
            cursor.adapters.register_loader(name, _Text)
        return cursor
