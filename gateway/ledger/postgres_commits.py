"""The one connection by which batches are written on PostgreSQL, and what has become of its commits.

A commit that waits for a synchronous standby which is away is not answered, and the connection may be lost meanwhile.
Then its outcome is asked for by another connection; while nobody knows it, nothing more is begun, as that would only
wait behind it.
"""

import asyncio
import time
from datetime import datetime
from typing import Any

import asyncpg

from gateway.errors import Unavailable
from gateway.ground.store.contract import key_of
from gateway.ground.store.postgres.engine import WITNESS, PostgresStore
from gateway.ground.store.postgres.native import FAULTS, connected, is_lost
from gateway.ledger.postgres_reading import PLANS, closed
from gateway.log.record import person_turn

# A call is answered after both of these.
COMMIT_SECONDS = 7.0
RESOLVE_SECONDS = 3.0  # how long its outcome is asked for

_WARNING = "01000"
_BACKEND = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_GOES_ON = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"
# Asked for again and again, on one connection.
_BEGIN_SOON = "BEGIN; SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_xact_lock({turn})"
_PROVEN = "SELECT 1 FROM logentry WHERE person_id = $1 AND seq = $2 AND commitment = $3"

Proof = tuple[str, int, bytes]  # finds an entry of a transaction (`record.PROOF`)
Backend = tuple[int, datetime]  # a process of the server: its number, and when it began


class CommitNotAnswered(Exception):
    """The connection was lost while the commit was under way, or it was not answered. `proof`: of it."""

    def __init__(self, proof: Proof) -> None:
        super().__init__()
        self.proof = proof


class Commits:
    """Used on the event loop, by one batch at a time."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._writing: asyncpg.Connection[Any] | None = None
        self._warned = False  # by the server, while a transaction was committed
        self._backend: Backend | None = None  # of `_writing`
        # of a commit that may still go on at the server, and by whom
        self.unanswered: tuple[Proof, Backend | None] | None = None
        self._asking: Backend | None = None  # whose own commit, when it asked for that one, was not answered either

    async def close(self) -> None:
        await closed(self._writing)
        self._writing = None

    async def connection(self) -> "asyncpg.Connection[Any]":
        if self._writing is None or self._writing.is_closed():
            made = await connected(self._store.direct)
            try:
                made.add_log_listener(self._heard)
                await made.execute(PLANS)
                self._backend = tuple(await made.fetchrow(_BACKEND))
            except BaseException:
                made.terminate()
                raise
            self._writing = made
        return self._writing

    async def commit(self, connection: "asyncpg.Connection[Any]", proof: Proof) -> None:
        """Raises CommitNotAnswered, and Unavailable for a commit that is not where it must be."""
        self._warned = False
        try:
            await connection.execute("COMMIT", timeout=COMMIT_SECONDS)
        except FAULTS as error:
            if is_lost(error):
                connection.terminate()
                raise CommitNotAnswered(proof) from error
            raise
        self._refuse_warned()

    async def undo(self, connection: "asyncpg.Connection[Any]", error: BaseException) -> None:
        """What failed with this error leaves nothing behind."""
        if is_lost(error):  # one that did not answer would be waited for once more
            connection.terminate()
        if connection.is_closed():
            return
        try:
            await connection.execute("ROLLBACK")
        except FAULTS:
            connection.terminate()

    async def resolve(self, proof: Proof) -> None:
        """Returns when the transaction was committed. Raises Unavailable when it was not, or nobody knows:
        the next batch then asks again (`refuse_unanswered`)."""
        until, backend = time.monotonic() + RESOLVE_SECONDS, self._backend
        while (left := until - time.monotonic()) > 0:
            try:
                found = await self._is_proven(proof, backend, left)
            except FAULTS:
                await asyncio.sleep(0.1)
                continue
            if not found:
                raise Unavailable("database: not committed")
            return
        self.unanswered = proof, backend
        raise Unavailable("database: nobody knows whether this was committed")

    async def refuse_unanswered(self) -> None:
        """Raises Unavailable until the commit that nobody answered has ended, in whatever way: who waited for it was
        told already."""
        if self.unanswered is None:
            return
        try:
            await self._is_proven(*self.unanswered, RESOLVE_SECONDS)
        except FAULTS as error:
            raise Unavailable("database: an earlier commit is not answered") from error
        self.unanswered = None

    async def _is_proven(self, proof: Proof, backend: Backend | None, seconds: float) -> bool:
        """Whether the transaction was committed. Raises one of FAULTS when that is not known.

        The turn comes first: until it is free the server may still be busy with that commit (postgres/engine.py). When
        that process of the server is gone its commit has ended, whoever else has the turn now."""
        turn = key_of(person_turn(proof[0]))
        try:
            async with asyncio.timeout(seconds):
                connection = await self.connection()
                self._warned = False
                if self._asking and await connection.fetchval(_GOES_ON, *self._asking):
                    raise asyncpg.LockNotAvailableError("another look would wait behind the one before")
                self._asking = None
                goes_on = backend is None or await connection.fetchval(_GOES_ON, *backend)
                await connection.execute(_BEGIN_SOON.format(turn=turn) if goes_on else "BEGIN")
                found = await connection.fetchval(_PROVEN, *proof)
                if found is not None:
                    await connection.execute(WITNESS)
                    self._asking = self._backend
                await connection.execute("COMMIT")
                self._asking = None
                self._refuse_warned()
        except FAULTS as error:
            if not is_lost(error) and not isinstance(error, asyncpg.LockNotAvailableError):
                self._asking = None
            if self._writing is not None:
                await self.undo(self._writing, error)
            raise
        return found is not None

    def _heard(self, _: Any, message: Any) -> None:
        self._warned = self._warned or message.sqlstate == _WARNING

    def _refuse_warned(self) -> None:
        """A commit that somebody told not to wait for its standby is on this server's disk, and perhaps nowhere else:
        data that leaves now would be without its entry after a fail-over. Raises Unavailable."""
        if self._warned:
            raise Unavailable("database: the commit was told not to wait for a standby")
