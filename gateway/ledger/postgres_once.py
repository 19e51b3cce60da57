"""Calls that end their consents, on PostgreSQL: rare, and written one by one, in a thread, by `Transaction`, whose
statements are those of both engines. Judged as every other call (postgres.py)."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from gateway.ground.store.contract import DIRECTORY, key_of
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ledger.contract import PROOF_SECONDS, Item, Verdict
from gateway.ledger.postgres_reading import StandingMemory
from gateway.ledger.transaction import Transaction, UsedUp
from gateway.log.record import person_turn

_TURN = "SELECT pg_try_advisory_xact_lock(?)"
_ONE = """
    SELECT c.person_id, c.app_id, c.state, c.reason, c.generation, d.generation, p.birth_date, l.id, l.generation,
           f.ended_at IS NULL AND f.version >= c.tokens_from
      FROM consent c
      JOIN tokenfamily f ON f.id = ? AND f.consent_id = c.id AND f.client_id = c.app_id
      JOIN person p ON p.id = c.person_id
      JOIN link l ON l.person_id = c.person_id AND l.organisation_id = ? AND l.ended_at IS NULL
      LEFT JOIN directory d ON d.id = 1
     WHERE c.id = ?"""
_PROOF = "INSERT INTO spentproof (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING"


class SingleUses:
    """Used on the event loop, one at a time."""

    def __init__(self, store: PostgresStore, transaction: Transaction, memory: StandingMemory) -> None:
        self._store, self._transaction, self._memory = store, transaction, memory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aval-one-use")
        self._held: Any = None  # that thread's connection

    def stop(self) -> None:
        self._thread.submit(self._leave)
        self._thread.shutdown(wait=False)

    async def write(self, item: Item) -> None:
        """A call that ends its consent: judged as every other, then written by the statements of both engines. No
        verdict: its person's turn is not free."""
        standing = item.standing
        assert standing is not None

        def work() -> None:
            self._store.batch(self._connection(), write)

        def write(connection: Any) -> None:
            connection.turn_beside(DIRECTORY)
            turn = person_turn(item.event.person)
            if not connection.execute(_TURN, (key_of(turn),)).fetchone()[0]:
                item.verdict = None
                return
            connection.noted.turns.add(turn)
            asked = standing.family, standing.organisation, standing.consent
            row = connection.execute(f"{_ONE} FOR SHARE OF c, f, l SKIP LOCKED", asked).fetchone()
            if row is None and connection.execute(_ONE, asked).fetchone() == standing.row:
                item.verdict = None  # somebody has locked it
                return
            if row is None or tuple(row) != standing.row:
                item.verdict = Verdict.CHANGED
                return
            if item.proof is not None:
                until = item.event.at + timedelta(seconds=PROOF_SECONDS)
                if not connection.execute(_PROOF, (item.proof, until)).rowcount:
                    item.verdict = Verdict.REPLAYED
                    return
            self._transaction.write(connection, [item], {})

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except UsedUp as error:
            item.verdict, item.used_up = Verdict.USED_UP, error.count
        except BaseException:
            self._transaction.undone()
            raise
        self._memory.forget(standing)

    def _connection(self) -> Any:
        """In its thread. Raises Unavailable."""
        if self._held is not None:
            with contextlib.suppress(Exception):
                self._held.execute("SELECT 1")
                return self._held
        self._leave()
        self._held = self._store.connect()
        return self._held

    def _leave(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
