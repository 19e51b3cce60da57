"""What the data plane reads on PostgreSQL, and remembers until a notice says that it may have changed.

Nothing that is decided rests on a notice having come: what is remembered saves reading, and postgres.py judges again in
the transaction of the entry.
"""

import asyncio
import contextlib
import logging
import time
from typing import Any

import asyncpg

from gateway.errors import Unavailable, where
from gateway.ground.store.contract import DIRECTORY
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.postgres.native import FAULTS, connected, is_lost
from gateway.ground.store.postgres.notices import BELIEVED_SECONDS, CHANNEL, HEARD, HEARS
from gateway.ground.store.threads import Trouble
from gateway.ledger.standing import HELD, Standing

_logger = logging.getLogger("gateway.proxy")
HEAR_SECONDS = 1.0  # how often to make sure that notices still arrive
ANSWERS = 1000  # of questions whether something is known, under way at a time

# Each of the few statements is planned once, for any number of calls and however large the tables grow: a row is looked
# up by its key. Without this a plan made for a small table would go on when it has become a large one.
PLANS = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    " SET enable_hashjoin = off; SET enable_mergejoin = off"
)
ROW = """c.person_id, c.app_id, c.state, c.reason, c.generation, d.generation, p.birth_date::text, l.id, l.generation,
           f.id IS NOT NULL AND f.ended_at IS NULL AND f.version >= c.tokens_from"""
ASKED = "unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w (consent, family, organisation, n)"
_READ = f"""
    SELECT w.n, {ROW}
      FROM {ASKED}
      JOIN consent c ON c.id = w.consent
      LEFT JOIN tokenfamily f ON f.id = w.family AND f.consent_id = c.id AND f.client_id = c.app_id
      LEFT JOIN directory d ON d.id = 1
      LEFT JOIN person p ON p.id = c.person_id
      LEFT JOIN link l ON l.person_id = c.person_id AND l.organisation_id = w.organisation AND l.ended_at IS NULL"""


class StandingMemory:
    """The standings this process has read, until a notice says that one may have changed."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], Standing] = {}
        self._of_consent: dict[str, list[tuple[str, str, str]]] = {}
        self._of_person: dict[str, set[str]] = {}
        self.believed_until = 0.0  # monotonic; later it may be that notices do not arrive, and nothing is remembered
        self.turns = 0  # raised by every notice: what was being read meanwhile may be old

    def get(self, key: tuple[str, str, str]) -> Standing | None:
        return self._held.get(key) if time.monotonic() < self.believed_until else None

    def keep(self, standing: Standing, turns: int) -> None:
        if time.monotonic() >= self.believed_until or turns != self.turns:
            return
        if len(self._held) >= HELD:
            self.clear()
        key = standing.consent, standing.family, standing.organisation
        if key not in self._held:
            self._of_consent.setdefault(standing.consent, []).append(key)
            self._of_person.setdefault(standing.person, set()).add(standing.consent)
        self._held[key] = standing

    def forget(self, standing: Standing) -> None:
        self._forget_consent(standing.consent)

    def notice(self, payload: str) -> None:
        self.turns += 1
        kind, name = payload[:1], payload[1:]
        if kind == "c":
            self._forget_consent(name)
        elif kind == "p":
            for consent in self._of_person.pop(name, ()):
                self._forget_consent(consent)
        else:
            self.clear()

    def changed(self, turns: set[str]) -> None:
        """In these people's turns something was written, or in that of the directory. Others (of tries, of an address)
        change no standing."""
        for turn in turns:
            kind, _, person = turn.partition(" ")
            if kind == "person":
                self.notice(f"p{person}")
            elif turn == DIRECTORY:
                self.notice("d")

    def clear(self) -> None:
        self.turns += 1
        self._held.clear()
        self._of_consent.clear()
        self._of_person.clear()

    def _forget_consent(self, consent: str) -> None:
        for key in self._of_consent.pop(consent, ()):
            standing = self._held.pop(key)
            hers = self._of_person.get(standing.person, set())
            hers.discard(consent)
            if not hers:
                self._of_person.pop(standing.person, None)


class StandingReader:
    """Reads for the data plane, on the connection on which notices arrive: where it breaks, both are known to be gone.

    Standings that are asked for while another read is under way are read together, in one statement.
    """

    def __init__(self, store: PostgresStore, memory: StandingMemory) -> None:
        self._store, self._memory = store, memory
        self._connection: asyncpg.Connection[Any] | None = None
        self._one = asyncio.Lock()
        self._asked: dict[tuple[str, str, str], asyncio.Future[Standing | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._lives = True  # it says so before the first call comes
        self._trouble = Trouble(_logger, "data plane: not heard of the database", "data plane: heard again")
        self._answers: set[asyncio.Task[None]] = set()
        self._refused = 0.0  # monotonic: when a new connection was last not to be had

    async def start(self) -> None:
        await self.fetch("SELECT 1")
        self._hearing = asyncio.ensure_future(self._hear())

    async def stop(self) -> None:
        for task in (self._hearing, self._reading, *self._answers):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await closed(self._connection)
        self._connection = None

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """Raises Unavailable."""
        asked = time.monotonic()
        async with self._one:
            if self._refused > asked:  # each trying for itself, one after the other, would wait for minutes
                raise Unavailable("database: no connection")
            return await self._fetch(statement, *values)

    async def _fetch(self, statement: str, *values: Any) -> list[Any]:
        for again in (False, True):
            fresh = self._connection is None or self._connection.is_closed()
            try:
                if fresh:
                    await self._connect()
                assert self._connection is not None
                asked = time.monotonic()
                rows: list[Any] = await self._connection.fetch(statement, *values)
                if self._lives:  # every notice of what was committed before it was asked has come before the answer
                    self._memory.believed_until = asked + BELIEVED_SECONDS
                return rows
            except FAULTS as error:
                self._lost()
                # A connection that broke while it was idle says nothing about the server: one that is new does.
                if again or fresh or not is_lost(error):
                    if is_lost(error):
                        self._refused = time.monotonic()
                    raise Unavailable(f"database: {type(error).__name__}") from error
        raise AssertionError

    async def _connect(self) -> None:
        connection = await connected(self._store.direct)
        await connection.execute(PLANS)
        await connection.add_listener(CHANNEL, self._noticed)
        connection.add_termination_listener(lambda _: self._lost())
        self._connection = connection
        self._memory.clear()

    def _noticed(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        if payload[:1] != "a":
            self._memory.notice(payload)
        elif len(self._answers) < ANSWERS:
            answer = asyncio.ensure_future(self._answer(f"{payload[1:]} {self._store.process}"))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def _answer(self, heard: str) -> None:
        """Somebody asks whether what she ended is known here: it is, its notice came before (`notices.heard`)."""
        with contextlib.suppress(Unavailable):  # then she waits
            await self.fetch("SELECT pg_notify($1, $2)", HEARD, heard)

    def _lost(self) -> None:
        self._memory.believed_until = 0.0
        self._memory.clear()
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()

    async def _hear(self) -> None:
        """A connection can be dead without a word: then no notice comes, and this finds it out. It is also the poll
        beneath the notices: a change of the directory is seen by it in any case. Until it has asked again, a process
        that could not ask does not say that it lives."""
        known: Any = False
        while True:
            await asyncio.sleep(HEAR_SECONDS)
            try:
                async with asyncio.timeout(HEAR_SECONDS):
                    [(generation, self._lives)] = await self.fetch(HEARS, self._store.process)
            except Exception as error:  # it outlives every fault: without it nothing would be found out any more
                self._lives = False
                self._lost()
                if not isinstance(error, Unavailable | TimeoutError):
                    self._trouble.failed(where(error))
                continue
            self._trouble.well()
            if not self._lives:
                self._memory.believed_until = 0.0
            if known is not False and generation != known:
                self._memory.clear()
            known = generation

    # ---- standings

    async def standing(self, key: tuple[str, str, str]) -> Standing | None:
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._reading is None or self._reading.done():
                self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(asked)

    async def _read(self) -> None:
        while self._asked:
            async with self._one:
                asked, self._asked = self._asked, {}
                turns = self._memory.turns
                try:
                    columns = [list(column) for column in zip(*asked, strict=True)]
                    found = await self._fetch(_READ, *columns)
                except BaseException as error:
                    for waiting in asked.values():
                        if not waiting.done():
                            waiting.set_exception(error if isinstance(error, Exception) else Unavailable("stopping"))
                            waiting.exception()  # whoever waited may have gone: that is no fault of ours
                    if not isinstance(error, Exception):
                        raise
                    continue
            rows = {row[0]: tuple(row)[1:] for row in found}
            for at, (key, waiting) in enumerate(asked.items(), 1):
                standing = Standing(*key, -1, rows[at]) if at in rows else None
                if standing is not None:
                    self._memory.keep(standing, turns)
                if not waiting.done():
                    waiting.set_result(standing)


async def closed(connection: "asyncpg.Connection[Any] | None") -> None:
    if connection is not None and not connection.is_closed():
        with contextlib.suppress(*FAULTS):
            await connection.close(timeout=2)
