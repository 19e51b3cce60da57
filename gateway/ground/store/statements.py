"""What a room may do on a session or a bare connection beside the ORM, the same on every engine."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from sqlmodel import Session, SQLModel

from gateway.ground.store.contract import BARE, NOTED, Connection, Noted, Remote, Row, Store, translated


@cache
def _inserting(dialect: str) -> Any:
    return import_module(f"sqlalchemy.dialects.{dialect}").insert


def insert(session: Session, table: type[SQLModel]) -> Any:
    """INSERT into this table, with `on_conflict_do_update` and `on_conflict_do_nothing`; its row count can be asked,
    which SQLAlchemy forgets of an INSERT unless it is told."""
    return _inserting(session.get_bind().dialect.name)(table).execution_options(preserve_rowcount=True)


def raw(session: Session) -> Connection:
    """The bare connection of a session, for statements in the session's transaction."""
    known: Connection | None = session.info.get(BARE)
    if known is not None:
        return known
    connection: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name != "postgresql":
        return connection  # type: ignore[no-any-return]
    from gateway.ground.store.postgres.bare import Bare  # here: whoever only has a file loads no driver of a server

    return Bare(connection, session.info.setdefault(NOTED, Noted()))


def row_of(session: Session) -> Row:
    """How one row is found in the session's transaction."""
    connection = raw(session)
    return lambda statement, values: connection.execute(statement, values).fetchone()


@contextlib.contextmanager
def patient(store: Store) -> Iterator[Connection]:
    """A bare connection for commands that look at all there is, however long that takes. Raises Unavailable, also for
    faults of the database within."""
    with contextlib.closing(store.connect()) as connection, translated(store):
        unhurried(connection)
        yield connection


def unhurried(connection: Connection) -> None:
    """From now on its statements may take as long as they need, and what is done between two of them minutes."""
    if isinstance(connection, Remote):
        connection.unhurried()


@contextlib.contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """All that is read within on this bare connection is of one moment."""
    remote = isinstance(connection, Remote)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if remote else "BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def one_moment(writing: Connection) -> None:
    """All that this transaction sees is of one moment, besides what it writes. To be said first in it."""
    if isinstance(writing, Remote):
        writing.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def streamed(connection: Any, statement: str) -> Iterator[Any]:
    """The rows of a large result one after the other, inside a transaction, without holding all of them. A text that
    is none (not UTF-8) is given with its bytes as surrogates: whoever checks a database must be able to go on."""
    if isinstance(connection, Remote):
        yield from connection.streamed(statement)
        return
    connection.text_factory = _lenient
    rows = iter(connection.cursor().execute(statement))
    while (row := next(rows, None)) is not None:  # `yield from` would close a cursor whose connection may be closed
        yield row


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def turns(connection: Connection, keys: Iterable[str]) -> None:
    """Take the turns of all these keys (`turn`), on a bare connection inside a transaction."""
    if isinstance(connection, Remote):
        connection.turns(keys)


def prove(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """How this transaction can be known later: the statement finds a row if, and only if, it was committed. Asked
    when the connection breaks in the middle of the commit."""
    if isinstance(connection, Remote):
        connection.noted.proof = statement, values


def ends(connection: Connection) -> None:
    """With this transaction something ends that allowed data to leave. Whoever waits for its commit is told that it
    has ended when no process that serves the database acts on what it knew before any more."""
    if isinstance(connection, Remote):
        connection.noted.ends = True


def turn(session: Session, *keys: str) -> None:
    """Until the transaction ends nobody else has the turn of these keys (contract.py). What the session has read before
    is read again: it may have changed before the turn came. Whoever needs several takes them at once, so that two who
    want the same ones wait for one another and not both for ever.

    Where one writer has the whole database, its turn is everybody's, and nothing is done.
    """
    connection = raw(session)
    if isinstance(connection, Remote) and not connection.noted.turns.issuperset(keys):
        session.flush()
        connection.turns(keys)
        session.expire_all()


def turn_beside(session: Session, key: str) -> bool:
    """Until the transaction ends nobody has the turn of this key alone; others may have it beside this one. What the
    session has read before is not read again. Returns whether it may have changed: not where one writer has the whole
    database."""
    connection = raw(session)
    if not isinstance(connection, Remote):
        return False
    connection.turn_beside(key)
    return True
