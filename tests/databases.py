"""Databases looked at from outside, by the SQLite library the gateway uses.

Never by another one: closing any descriptor of a file drops all locks its process has on it, also those of a second
library that knows nothing of it (SQLite, "How To Corrupt An SQLite Database File", 2.2).
"""

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Engine, create_mock_engine

from gateway import schema
from gateway.ground.store import Store, migrate, open_store
from gateway.ground.store.migrations.waiting import WAITS
from gateway.ground.store.sqlite import engine
from gateway.ground.store.sqlite.engine import Connection, SqliteStore
from gateway.house import House
from gateway.settings import Settings


def unsynced(settings: Settings) -> Store:
    """The store of these settings, for tests that do not pull the plug."""
    store = open_store(settings.model_copy(update={"log_fsync": False}))
    if isinstance(store, SqliteStore):
        _knows(store.engine)
    return store


def _knows(engine: Engine) -> None:
    """SQLAlchemy compiles each statement once for an engine. A gateway keeps its engine for months; the engines of
    tests live for a second, and share what one of them has compiled."""
    first = _first().engine
    engine.dialect = engine.pool._dialect = first.dialect
    engine._compiled_cache = first._compiled_cache


def made(store: Store) -> None:
    """All tables, where there are none: as the migrations make them, in less time."""
    if store.engine.dialect.name == "postgresql":  # made from a template that has them
        return
    if not put(store, _first().file):
        _complete(store)


def put(store: Store, file: bytes) -> bool:
    """Begin with the file of another database. Returns whether it did, which it does not where there is one already."""
    try:
        with Path(store.where).open("xb") as begun:
            begun.write(file)
    except FileExistsError:
        return False
    return True


def kept(store: Store) -> bytes:
    """The file of a database as it is now, for `put`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        copied(Path(store.where), copy)
        return copy.read_bytes()


@dataclass(frozen=True)
class _First:
    """`engine`: has been connected. `file`: a database that has all tables and no row."""

    engine: Engine
    file: bytes


@functools.cache
def _first() -> _First:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder, "aval.db"), fsync=False)
        _complete(store)
        store.close()
        return _First(store.engine, store.path.read_bytes())


def _complete(store: Store) -> None:
    with store.engine.begin() as connection:
        if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
            return
        for statement in _statements():
            connection.exec_driver_sql(statement)


def migrated(settings: Settings) -> None:
    """As `migrate.upgrade` makes it where there is nothing, in less time: a copy of a file that it has made."""
    if settings.database_url:  # made from a template that has them
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.database.touch(mode=0o600, exist_ok=False)
    settings.database.write_bytes(_migrated())


_migrates = migrate._run


def copies_or_migrates(store: Store) -> str | None:
    """In place of `migrate._run`, for tests of something else."""
    path = Path(store.where)
    if not isinstance(store, SqliteStore) or path.stat().st_size:
        return _migrates(store)
    path.write_bytes(_migrated())
    return None


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url="")
        with mock.patch.object(migrate, "_run", _migrates):
            migrate.upgrade(settings)
        assert [each.name for each in Path(folder).iterdir()] == [settings.database.name], "all is in the one file"
        return settings.database.read_bytes()


@functools.cache
def _statements() -> list[str]:
    """SQLAlchemy needs longer to write them than SQLite to run them."""
    written: list[str] = []
    writer = create_mock_engine("sqlite://", lambda sql, *_: written.append(str(sql.compile(dialect=writer.dialect))))
    schema.metadata.create_all(writer, checkfirst=False)
    return [*written, *WAITS["sqlite"]]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Connection]:
    """What was changed is committed at the end."""
    connection = engine.sqlite3.connect(str(path))
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def copied(source: Path, target: Path) -> None:
    """All of it, into a file that may be there already."""
    with opened(source) as read, opened(target) as written:
        read.backup(written)


def everything(store: Store) -> bytes:
    """All that the database holds, one value after the other: to look for what must not be in it."""
    if store.engine.dialect.name != "postgresql":
        path = Path(store.where)
        return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    found = []
    with store.read() as session:
        for table in schema.metadata.sorted_tables:
            for row in session.execute(table.select()):
                found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b" ".join(found)


def entries(house: House, person: str) -> list[dict[str, Any]]:
    """The person's log, opened."""
    connection = house.store.connect()
    try:
        key = connection.execute("SELECT key_sealed FROM logchain WHERE person_id = ?", (person,)).fetchone()
        rows = connection.execute(
            "SELECT seq, sealed FROM logentry WHERE person_id = ? ORDER BY seq", (person,)
        ).fetchall()
        return [json.loads(house.log.read(person, seq, sealed, key[0])) for seq, sealed in rows]
    finally:
        connection.close()
