"""Sessions and bare connections on PostgreSQL, and what a fault of the server means."""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from gateway.errors import NotKnownYet, Unavailable, where
from gateway.ground.store import contract
from gateway.ground.store.contract import NOTED, Noted, Store, key_of, translated
from gateway.ground.store.postgres import faults, months
from gateway.ground.store.postgres.address import ISOLATION, SESSION, pooled
from gateway.ground.store.postgres.bare import Bare
from gateway.ground.store.postgres.notices import heard
from gateway.ground.store.postgres.patient import NotAnswered, Patient, opened
from gateway.ground.store.rows import RowSession

POOL_SECONDS = 3  # how long a page waits for a connection
RESOLVE_SECONDS = 5.0  # how long to ask for the outcome of a commit that was not answered
# Whoever finds a row commits this before she believes it: after a crash the server shows what it had not yet handed to
# its synchronous standbys. This commit ends when they have all that was written before. It writes to the WAL alone.
WITNESS = "SELECT pg_logical_emit_message(true, 'aval', '')"
COPY = "store copy"  # whoever moves the database holds this lock alone (copying_postgres.py)
LEAD_SECONDS = 4  # a leader that says nothing for so long loses the lead: its session is ended by the server

_DAMAGED = ("XX001", "XX002")

_SET = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SESSION.items())

_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_log = logging.getLogger("gateway.ground.store")


class PostgresStore(Store):
    """`parameters`: libpq's, of the pages; `direct`: past a pooler, for what needs a session of its own;
    `past`: names that one in messages."""

    alone = False
    leaving_at_once = 1000  # nobody waits for a row that has expired

    def __init__(
        self,
        where: str,
        parameters: Mapping[str, Any],
        *,
        direct: Mapping[str, Any] | None = None,
        past: str = "",
        connections: int = 10,
        fsync: bool = True,
    ) -> None:
        self.where, self.past, self.fsync = where, past or where, fsync
        self.process = secrets.token_hex(8)
        more = {} if fsync else {"options": f"{parameters.get('options', '')} -c synchronous_commit=off"}
        self._parameters = {**parameters, **more}
        self.direct: Mapping[str, Any] = {**(direct or parameters), **more}
        # pg_stat_activity tells them from the others (settings.BESIDES)
        self._parameters["application_name"] = f"{parameters.get('application_name', 'aval')}-pages"
        if direct is not None:
            self._parameters = pooled(self._parameters)
        self._damaged = False
        self._guard = threading.Lock()
        self._unanswered: list[Patient] = []  # whose commits go on at the server; under _guard
        # Told after every commit of this process whose turns it had taken, before its caller goes on.
        self.changed: list[Callable[[set[str]], None]] = []
        self.engine = _engine(self._parameters, connections)
        if direct is not None:
            event.listen(self.engine, "begin", _set_for_transaction)
        self._reading = self.engine.execution_options(**_SNAPSHOT)
        self._apart = _engine(self.direct, 1)

    # ---- transactions

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        with translated(self), RowSession(self._reading, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextlib.contextmanager
    def read_apart(self) -> Iterator[Session]:
        reading = self._apart.execution_options(**_SNAPSHOT)
        with translated(self), RowSession(reading, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        with translated(self), RowSession(self.engine, expire_on_commit=False) as session:
            self._refuse_unanswered()
            try:
                yield session
                session.flush()
                try:
                    session.commit()
                except DBAPIError as error:
                    self._settle(session.info.get(NOTED, Noted()), error)
            except BaseException:
                with contextlib.suppress(DBAPIError):
                    session.rollback()
                raise
            noted = session.info.get(NOTED, Noted())
        self._tell(noted.turns)
        if noted.ends:
            heard(self.direct, self.process)

    def connect(self) -> Bare:
        try:
            raw = opened(self.direct, autocommit=True)
        except psycopg.Error as error:
            said = faults.sentence(self.past, error)
            named = said if self.past == self.where else said.replace(faults.ADDRESS, faults.DIRECT)
            raise Unavailable(named) from error
        if why := faults.unfit(self.past, raw):
            raw.close()
            raise Unavailable(why)
        return Bare(raw)

    def batch(self, connection: contract.Connection, work: Callable[[Any], object]) -> None:
        assert isinstance(connection, Bare)
        raw = connection.psycopg
        with translated(self):
            self._refuse_unanswered()
            connection.noted.clear()
            raw.execute("BEGIN")
            try:
                work(connection)
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    raw.execute("ROLLBACK")
                raise
            try:
                raw.commit()
            except psycopg.Error as error:
                self._settle(connection.noted, error)
        self._tell(connection.noted.turns)

    def _tell(self, turns: set[str]) -> None:
        """What is committed stays so, whatever becomes of those who are told: a loop may be closed by now."""
        for tell in list(self.changed):
            try:
                tell(set(turns))
            except Exception as error:
                _log.warning("%s: a change was committed, and not told in this process: %s", self.where, where(error))

    def _settle(self, noted: Noted, error: Exception) -> None:
        """COMMIT failed. Returns when the transaction has been committed all the same; raises `error` when it has not
        been, and NotKnownYet when nobody can know.

        A transaction that has written an entry of the log is known by it. Its turn is taken first: until then the
        server may still be busy with the commit itself. (The number of a transaction says nothing after a crash or a
        fail-over: the server may have given it to another one since.)
        """
        if self._goes_on(error):
            raise NotKnownYet("database: the commit is not answered") from error
        if not _lost(error):
            raise error
        until = time.monotonic() + RESOLVE_SECONDS
        while noted.proof is not None and time.monotonic() < until:
            committed: bool | None = None
            try:
                committed = self._is_proven(noted)
            except psycopg.Error as fault:
                if self._goes_on(fault):
                    break
            if committed:
                return
            if committed is not None:
                raise error
            time.sleep(0.1)
        raise NotKnownYet("database: nobody knows whether this was committed") from error

    def _goes_on(self, error: BaseException) -> bool:
        """Whether this is of a commit that was not answered. Until it has ended nothing more is begun that would have
        to wait behind it: at the server each such commit keeps its connection and its locks."""
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, NotAnswered) or cause.by is None:
            return False
        with self._guard:
            first = not self._unanswered
            self._unanswered.append(cause.by)
        if first:
            _log.error(
                "%s: a commit is not answered; nothing more is written until it is. Where synchronous_standby_names is"
                " set, bring that standby back, or take it off that list if its data may be lost",
                self.where,
            )
        return True

    def _refuse_unanswered(self) -> None:
        with self._guard:
            if not self._unanswered:
                return
            self._unanswered = [each for each in self._unanswered if not each.ended()]
            if self._unanswered:
                raise Unavailable("database: an earlier commit is not answered")
        _log.warning("%s: commits are answered again", self.where)

    def _is_proven(self, noted: Noted) -> bool:
        """Raises psycopg.Error when it cannot be known."""
        with opened(self.direct) as asking:
            bare = Bare(asking)
            bare.turns(noted.turns)
            assert noted.proof is not None
            found = bare.execute(*noted.proof).fetchone() is not None
            if found:
                bare.execute(WITNESS)
        return found

    # ---- of a serving process

    def version(self) -> str:
        with contextlib.closing(self.connect()) as connection:
            (found,) = connection.execute("SELECT current_setting('server_version')").fetchone() or ("",)
        return f"PostgreSQL {found.split(' ')[0]}"

    def claim(self) -> None:
        """Any number of processes may serve this database, but for one that is being copied."""
        with contextlib.closing(self.connect()) as connection, translated(self):
            free = connection.execute("SELECT pg_try_advisory_lock_shared(?)", (key_of(COPY),)).fetchone()
        if not free or not free[0]:
            raise Unavailable(f"{self.where}: `aval store copy` is at work on it; what is written now would be lost")

    def lead(self, what: str) -> "PostgresLead":
        return PostgresLead({**self.direct, "prepare_threshold": 5}, key_of(f"lead {what}"))

    def prepare_months(self, today: date) -> None:
        with contextlib.closing(self.connect()) as connection:
            self.batch(connection, lambda writing: months.prepare_missing(writing, today))

    def fault(self) -> str:
        return "the database has found damaged data in itself: put a sound copy back" if self._damaged else ""

    def note_damage(self, error: Exception) -> bool:
        damaged = faults.state(error) in _DAMAGED
        self._damaged = self._damaged or damaged
        return damaged

    def is_fault(self, error: BaseException) -> bool:
        return isinstance(error, PoolTimeout) or _lost(error) or faults.is_now(error)

    def can_write(self) -> bool:
        try:
            with self.write() as session:
                session.connection().exec_driver_sql("UPDATE directory SET generation = 0 WHERE false")
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()
        self._apart.dispose()
        with self._guard:
            for each in self._unanswered:
                each.leave()
            self._unanswered = []


def _engine(parameters: Mapping[str, Any], connections: int) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: opened(parameters),
        isolation_level=ISOLATION.upper(),  # said at each BEGIN: behind a pooler the session is anybody's
        hide_parameters=True,  # an error message contains the statement, never a person's values
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        pool_use_lifo=True,
    )


def _set_for_transaction(connection: Connection) -> None:
    """What a session without a pooler is opened with (`address.parameters`)."""
    connection.exec_driver_sql(_SET)


class PostgresLead:
    """Tries for the lead on a connection of its own. The server gives it to another when this session ends: with the
    process, with its host, or when nothing is heard of it for LEAD_SECONDS."""

    def __init__(self, parameters: Mapping[str, Any], key: int) -> None:
        said = f"-c idle_session_timeout={LEAD_SECONDS}s -c idle_in_transaction_session_timeout={LEAD_SECONDS}s"
        self._parameters = {**parameters, "options": f"{parameters.get('options', '')} {said}"}
        self._key = key
        self._raw: Patient | None = None
        self._held = False

    def taken(self) -> Bare | None:
        """The connection on which this process leads; None: another process does. Raises Unavailable."""
        for again in (False, True):
            try:
                if self._raw is None:
                    self._raw = opened(self._parameters, autocommit=True)
                if self._held:
                    self._raw.execute("SELECT 1")
                else:
                    found = self._raw.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
                    self._held = bool(found and found[0])
                return Bare(self._raw) if self._held else None
            except psycopg.Error as error:
                self.close()
                if again:
                    raise Unavailable(f"database: {contract.name_of(error)}") from error
        raise AssertionError

    def close(self) -> None:
        self._held = False
        if self._raw is not None:
            self._raw.close()
            self._raw = None


def _lost(error: BaseException) -> bool:
    """Whether the connection broke, or the server ended it, as opposed to a statement that was refused."""
    cause = getattr(error, "orig", None) or error
    broken = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not faults.state(error)
    return broken or faults.is_ended(error)
