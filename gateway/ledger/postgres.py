"""The ledger on PostgreSQL: one transaction for all calls that wait, in four round trips, however many they are.

    1. BEGIN, and the turns   shared with whoever changes the directory; each person's alone, in the order of their keys
    2. judge                  what each call rests on, locked (FOR SHARE) and compared with what it was judged by; and
                              the ends of the chains
    3. write                  counts, entries, chains and what goes with them, in one statement
    4. COMMIT                 on the disk, here and on synchronous standbys, before anybody is told

Why stopping is exact in every process. Whoever stops a sharing updates its row and writes an entry, for which she
takes the person's turn, all in one transaction. A batch takes the same turn before it judges. So either the batch has
committed before the stop began to be written down, or it waits, and then its second statement, which sees all that was
committed before it began, finds the sharing ended: nothing is written, and nothing leaves. A change of these rows by
somebody who takes no turn is met by FOR SHARE: whoever comes second waits for the other's commit, and sees it; of calls
only those that rest on a row that is locked wait, for a later batch. Notices (LISTEN) only tell what to read again; one
that is lost costs a second judgement, never a byte.

What is rare (a consent that ends with its use) is written by `postgres_once`; step 3 is put together by
`postgres_parts`; of step 4 and what may become of it knows `postgres_commits`.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from gateway.errors import Unavailable, where
from gateway.ground.store import TRIES, Clash
from gateway.ground.store.contract import CLASHES, DIRECTORY, key_of
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.postgres.native import FAULTS, is_now
from gateway.ledger.contract import LISTING_SECONDS, PROOF_SECONDS, Item, Key, Told, Verdict
from gateway.ledger.postgres_commits import CommitNotAnswered, Commits, Proof
from gateway.ledger.postgres_once import SingleUses
from gateway.ledger.postgres_parts import composed
from gateway.ledger.postgres_reading import ASKED, ROW, StandingMemory, StandingReader
from gateway.ledger.standing import Standing
from gateway.ledger.transaction import Transaction, totals
from gateway.log import Log
from gateway.log.record import Heads, person_turn, proof_of

# Of a permitted call family and link are there: a row that is missing here has changed. The directory is not locked as
# a row, which all batches of all processes would share, but by its turn.
_STANDS = f"""
    SELECT w.n, {ROW}, h.seq, h.head, h.key_sealed, h.tally
      FROM {ASKED}
      JOIN consent c ON c.id = w.consent
      JOIN tokenfamily f ON f.id = w.family AND f.consent_id = c.id AND f.client_id = c.app_id
      JOIN link l ON l.person_id = c.person_id AND l.organisation_id = w.organisation AND l.ended_at IS NULL
      JOIN person p ON p.id = c.person_id
      LEFT JOIN directory d ON d.id = 1
      LEFT JOIN logchain h ON h.person_id = c.person_id"""
_JUDGE = f"{_STANDS} FOR SHARE OF c, f, l SKIP LOCKED"
_HEADS = "SELECT person_id, seq, head, key_sealed, tally FROM logchain WHERE person_id = ANY($1::text[])"
# The turn of the directory, then those of the people, in one statement and in this order. Turns are mostly held for a
# moment, by another process that writes about the same person. One that is held for longer (a page that hangs, or one
# of many by somebody who wants to be in the way) must not hold up other people's calls: then those turns are taken that
# are free, and the calls about her are written with a later batch.
_BEGIN = (
    "BEGIN; SET LOCAL lock_timeout = '100ms'; SELECT pg_advisory_xact_lock_shared({directory})"
    " UNION ALL SELECT pg_advisory_xact_lock(k) FROM unnest('{{{keys}}}'::bigint[]) AS k;"
    " SET LOCAL lock_timeout TO DEFAULT"
)
_BEGIN_FREE = "BEGIN; SELECT pg_advisory_xact_lock_shared({directory})"
_FREE = "SELECT k FROM unnest($1::bigint[]) AS k WHERE pg_try_advisory_xact_lock(k)"
ONCE_AT_ONCE = 4  # calls that end their consent are written one by one, and the others of their batch wait for them
BUSY_SECONDS = 5.0  # how long one call waits for its person's turn
BUSY_STEP_SECONDS = 0.02
_USED = """
    SELECT w.n, u.used FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
      WITH ORDINALITY AS w (consent, item, "window", start, n)
      JOIN "use" u ON u.consent_id = w.consent AND u.item = w.item AND u."window" = w."window" AND u.start = w.start"""
_STILL_OPEN = "SELECT id FROM openstream WHERE id = ANY($1::text[])"
_LISTED = "SELECT 1 FROM listing WHERE id = $1 AND expires_at > $2"

_log = logging.getLogger("gateway.proxy")


class _Replayed(Exception):
    """Proofs of the batch that had been used before."""

    def __init__(self, proofs: set[bytes]) -> None:
        super().__init__()
        self.proofs = proofs


class _Passed(Exception):
    """Limits that the batch would pass, and how many uses of each are left."""

    def __init__(self, left: dict[Key, int]) -> None:
        super().__init__()
        self.left = left


class PostgresLedger:
    exact = False

    def __init__(self, store: PostgresStore, log: Log) -> None:
        self._store = store
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._transaction = Transaction(log, store.process, lambda _c, _s: True)
        self._held: set[int] = set()  # turns that were not free a moment ago: they are not waited for
        self._commits = Commits(store)
        self.memory = StandingMemory()
        self._single = SingleUses(store, self._transaction, self.memory)
        self._reader = StandingReader(store, self.memory)

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        await self._reader.start()
        self._store.changed.append(self._changed_here)

    async def stop(self) -> None:
        self._loop = None
        self._store.changed.remove(self._changed_here)
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)
        self._single.stop()
        await self._reader.stop()
        await self._commits.close()

    def fault(self) -> str:
        """A server that has gone comes back: then all goes on by itself."""
        return self._store.fault() if self._loop is not None else "the writer is not started"

    # ---- reading

    def held(self, consent: str, family: str, organisation: str) -> Standing | None:
        return self.memory.get((consent, family, organisation))

    async def standing(self, consent: str, family: str, organisation: str) -> Standing | None:
        return await self._reader.standing((consent, family, organisation))

    async def used(self, keys: Sequence[Key]) -> list[int]:
        columns = [list(column) for column in zip(*keys, strict=True)] if keys else [[]] * 4
        found = {row[0]: row[1] for row in await self._reader.fetch(_USED, *columns)}
        return [found.get(at, 0) for at in range(1, len(keys) + 1)]

    async def listed(self, listing: bytes, now: float) -> bool:
        return bool(await self._reader.fetch(_LISTED, listing, datetime.fromtimestamp(now, UTC)))

    def _changed_here(self, turns: set[str]) -> None:
        """This process has committed a change: its next call is judged by it, also before the notice comes."""
        if self._loop is not None and turns:
            self._loop.call_soon_threadsafe(self.memory.changed, turns)

    # ---- one batch

    def commit(self, batch: list[Item], told: Told) -> None:
        assert self._loop is not None
        self._work = self._loop.create_task(self._committed(batch, told))

    async def _committed(self, batch: list[Item], told: Told) -> None:
        fault: Exception | None = None
        try:
            await self._commits.refuse_unanswered()
            if usual := [item for item in batch if not item.once]:
                await self._all(usual)
            await self._ending([item for item in batch if item.once])
            await self._waited(batch)
        except Exception as error:
            fault = _unavailable(error)
        told(fault)

    async def _ending(self, batch: list[Item]) -> None:
        """Calls that end their consents: a few, of people whose turn is free. The others go with the next batch."""
        held: set[str] = set()
        tried = 0
        for item in batch:
            item.verdict = None
            if item.event.person in held or tried == ONCE_AT_ONCE:
                continue
            tried += 1
            await self._apart([item], self._again_if_clashed(partial(self._single.write, item)))
            if item.verdict is None:
                held.add(item.event.person)

    async def _apart(self, items: list[Item], work: Awaitable[None]) -> None:
        """What becomes of these changes nothing for those of their batch that are written already."""
        try:
            await work
        except Exception as error:
            for item in items:
                item.verdict = _unavailable(error)

    async def _waited(self, batch: list[Item]) -> None:
        """Calls whose person's turn was not free have no verdict: the writer hands them in again, for a while."""
        assert self._loop is not None
        waiting = [item for item in batch if item.verdict is None]
        for item in waiting:
            item.since = item.since or self._loop.time()
            if self._loop.time() - item.since > BUSY_SECONDS:
                item.verdict = Unavailable("database: this person's turn is not to be had")
        if waiting and len(waiting) == len(batch):  # others are to be told at once
            await asyncio.sleep(BUSY_STEP_SECONDS)

    async def _all(self, batch: list[Item]) -> None:
        """Write the batch in one transaction. If that fails, write its halves: one bad item must not fail all."""
        try:
            await self._again_if_clashed(partial(self._once_through, batch))
        except _Replayed as replayed:
            rest = [item for item in batch if item.proof not in replayed.proofs]
            for item in batch:
                if item.proof in replayed.proofs:
                    item.verdict = Verdict.REPLAYED
            if rest:
                await self._all(rest)
        except _Passed as passed:
            if rest := _fitting([item for item in batch if item.verdict is Verdict.WRITTEN], passed.left):
                await self._all(rest)
        except Unavailable:
            raise
        except Exception as error:
            if len(batch) == 1:
                batch[0].verdict = error
                return
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                await self._apart(part, self._all(part))

    async def _again_if_clashed(self, transaction: Callable[[], Awaitable[None]]) -> None:
        for left in reversed(range(TRIES)):
            try:
                await transaction()
                return
            except Clash:
                if not left:
                    raise

    async def _once_through(self, batch: list[Item]) -> None:
        try:
            connection = await self._commits.connection()
            try:
                await self._write(connection, batch)
            except BaseException as error:
                self._transaction.undone()
                await self._commits.undo(connection, error)
                raise
        except CommitNotAnswered as commit:
            await self._commits.resolve(commit.proof)
        except FAULTS as error:
            if getattr(error, "sqlstate", None) in CLASHES:
                raise Clash(f"database: {type(error).__name__}") from error
            if is_now(error):
                raise Unavailable(f"database: {type(error).__name__}") from error
            raise

    # ---- one transaction

    async def _write(self, connection: "asyncpg.Connection[Any]", batch: list[Item]) -> None:
        batch = await self._begun(connection, batch)
        accepted, heads = await self._judged(connection, batch)
        if not accepted:
            await connection.execute("ROLLBACK")
            return
        proof = await self._written(connection, accepted, heads)
        await self._commits.commit(connection, proof)

    async def _begun(self, connection: "asyncpg.Connection[Any]", batch: list[Item]) -> list[Item]:
        """Begin, and take the turns. Returns the items whose turns were free; the others have no verdict."""
        for item in batch:
            item.verdict = None  # of an attempt that was rolled back
        keys = sorted({key_of(person_turn(item.event.person)) for item in batch})
        directory = key_of(DIRECTORY)
        if not self._held.intersection(keys):
            try:
                await connection.execute(_BEGIN.format(directory=directory, keys=",".join(map(str, keys))))
                return batch
            except asyncpg.LockNotAvailableError:
                await connection.execute("ROLLBACK")
        await connection.execute(_BEGIN_FREE.format(directory=directory))
        free = {row[0] for row in await connection.fetch(_FREE, keys)}
        self._held = set(keys) - free  # whoever waits is in the next batch again; others are not remembered for ever
        return [item for item in batch if key_of(person_turn(item.event.person)) in free]

    async def _judged(self, connection: "asyncpg.Connection[Any]", batch: list[Item]) -> tuple[list[Item], Heads]:
        """The items that are as they were judged, and the ends of their people's chains."""
        heads: Heads = {}
        judged = [item for item in batch if item.standing is not None]
        rows: dict[int, tuple[Any, ...]] = {}
        locked: dict[int, tuple[Any, ...]] = {}  # by somebody who has not taken the turn
        places: dict[tuple[str, str, str], int] = {}  # each is asked for once, however many calls rest on it
        for item in judged:
            assert item.standing is not None
            places.setdefault(item.standing.key, len(places) + 1)
        if places:
            asked = [list(column) for column in zip(*places, strict=True)]
            rows = {row[0]: tuple(row) for row in await connection.fetch(_JUDGE, *asked)}
            if len(rows) < len(places):
                locked = {row[0]: tuple(row) for row in await connection.fetch(_STANDS, *asked) if row[0] not in rows}
        accepted = []
        for item in judged:
            assert item.standing is not None
            place = places[item.standing.key]
            row = rows.get(place, ())
            if not self._log.frozen and place in locked and locked[place][1:11] == item.standing.row:
                continue  # it waits
            if self._log.frozen or row[1:11] != item.standing.row:
                item.verdict = Verdict.CHANGED
                self.memory.forget(item.standing)
                continue
            item.verdict = Verdict.WRITTEN
            accepted.append(item)
            if item.event.person not in heads:
                heads[item.event.person] = self._log.head(item.event.person, row[11:] if row[11] is not None else None)
        others = await self._not_closed(connection, [item for item in batch if item.standing is None])
        missing = sorted({item.event.person for item in others} - heads.keys())
        if missing:
            found = {row[0]: tuple(row)[1:] for row in await connection.fetch(_HEADS, missing)}
            for person in missing:
                heads[person] = self._log.head(person, found.get(person))
        return accepted + others, heads

    async def _not_closed(self, connection: "asyncpg.Connection[Any]", batch: list[Item]) -> list[Item]:
        """Those that do not close a stream which has its outcome already. Whoever closes one has its person's turn."""
        closes = [item.closes for item in batch if item.closes is not None]
        still_open = {row[0] for row in await connection.fetch(_STILL_OPEN, closes)} if closes else set()
        for item in batch:
            closed = item.closes is not None and item.closes not in still_open
            still_open.discard(item.closes)  # of two in one batch the first is its outcome
            item.verdict = Verdict.CLOSED if closed else Verdict.WRITTEN
        return [item for item in batch if item.verdict is Verdict.WRITTEN]

    async def _written(self, connection: "asyncpg.Connection[Any]", batch: list[Item], heads: Heads) -> Proof:
        """Step 3. Returns what proves the transaction. Raises _Passed, _Replayed."""
        entries, chains, tallies = self._log.sealed([item.event for item in batch], heads)
        counts = totals([count for item in batch for count in item.counts])
        proofs = [item.proof for item in batch if item.proof is not None]
        if len(set(proofs)) < len(proofs):
            raise _Replayed({proof for proof in proofs if proofs.count(proof) > 1})
        now = batch[0].event.at
        rows: dict[str, list[tuple[Any, ...]]] = {
            "entries": list(entries),
            "chains": list(chains),
            "tallies": list(tallies),
            "uses": [(*count.key, uses, count.times) for count, uses in _by_key(counts)],
            # in one order, so that no two batches wait for each other: an app may show one proof for many people
            "proofs": [(proof, now + timedelta(seconds=PROOF_SECONDS)) for proof in sorted(proofs)],
            "listings": [
                (listing, now + timedelta(seconds=LISTING_SECONDS))
                for listing in dict.fromkeys(item.listing for item in batch if item.listing is not None)
            ],
            "opened": [
                (item.opens, item.event.person, self._store.process, json.dumps(dict(item.event.facts)), item.event.at)
                for item in batch
                if item.opens is not None
            ],
            "closed": [(item.closes,) for item in batch if item.closes is not None],
            "accessed": [
                (item.standing.consent, item.event.at)
                for item in batch
                if item.standing and self._transaction.is_due(item.standing.consent, item.event.at.timestamp())
            ],
        }
        parts = tuple(name for name, some in rows.items() if some)
        columns = [list(column) for name in parts for column in zip(*rows[name], strict=True)]
        found = await connection.fetchrow(composed(parts), *columns)
        assert found is not None
        if rows["proofs"] and len(found["proofs"] or []) < len(proofs):
            raise _Replayed(set(proofs) - set(found["proofs"] or []))
        if rows["uses"] and found["passed"]:  # all of it is rolled back
            raise _Passed({rows["uses"][place - 1][:4]: left for place, left in found["passed"]})
        return proof_of(entries[0])


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    _log.error("an entry could not be written: %s", where(error))
    return Unavailable(f"database: {type(error).__name__}")


def _by_key(counts: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """One row per key: a statement cannot write a row twice."""
    together: dict[Key, tuple[Any, int]] = {}
    for count, uses in counts:
        before = together.get(count.key)
        together[count.key] = (count, uses + (before[1] if before else 0))
    return [together[key] for key in sorted(together)]


def _fitting(batch: list[Item], left: dict[Key, int]) -> list[Item]:
    """The items for which there are uses left, first come first served. The others get their verdict."""
    fitting = []
    for item in batch:
        item.used_up = next((count for count in item.counts if left.get(count.key, 1) <= 0), None)
        if item.used_up is not None:
            item.verdict = Verdict.USED_UP
            continue
        for count in item.counts:
            if count.key in left:
                left[count.key] -= 1
        fitting.append(item)
    return fitting
