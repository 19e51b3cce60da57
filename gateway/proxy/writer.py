"""The writer: what has to be on the disk before an answer leaves, many calls in one commit.

The event loop hands in items; one thread commits whatever has gathered as soon as the last
commit has ended, and tells the loop once per commit. In the transaction of its entry each
item finds the consent as it was judged, or is told `CHANGED` and nothing is written:
so no access is ever recorded, and no data given, under terms that had ended before.
"""

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from queue import Empty, SimpleQueue

from gateway.consent import live
from gateway.consent.rules import EndReason
from gateway.errors import Unavailable
from gateway.log import Event, Log
from gateway.log.record import Heads
from gateway.proxy import uses
from gateway.proxy.standing import Standing
from gateway.proxy.uses import Count
from gateway.store import Store
from gateway.store.engine import Connection

BATCH = 256  # items of one commit
HEADS_HELD = 4096
ACCESS_SECONDS = 60  # "last used" of a consent is this exact

_OPEN = "INSERT INTO openstream (id, person_id, facts, begun_at) VALUES (?, ?, ?, ?)"
_CLOSE = "DELETE FROM openstream WHERE id = ?"


_OF_THE_END = ("consent", "version", "client", "client_name", "purpose")


class Verdict(Enum):
    WRITTEN = "written"
    CHANGED = "changed"  # the consent, link or directory is not as it was judged
    USED_UP = "used up"


@dataclass(slots=True)
class Item:
    """One entry and what must be true, or become true, with it."""

    event: Event
    standing: Standing | None = None  # as judged; None: a refusal or an outcome, true under any standing
    counts: tuple[Count, ...] = ()
    once: bool = False  # this use ends the consent
    opens: str | None = None  # request id of a stream that begins
    closes: str | None = None  # and of one that ended
    verdict: Verdict | Exception | None = None
    told: "asyncio.Future[Verdict] | None" = field(default=None, repr=False)


class _UsedUp(Exception):
    """One of the items has no use left: roll back, and find out which."""


class Writer:
    def __init__(self, store: Store, log: Log) -> None:
        self._store = store
        self._log = log
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heads: Heads = {}
        self._accessed: dict[str, float] = {}  # consent → when its row last got a `last_access_at`
        self.version = -1  # of the database, as the last commit found it; see Standing.version

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="aval-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commit what was handed in, then end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(10)
            self._thread = None

    async def commit(self, item: Item) -> Verdict:
        """On the disk when this returns WRITTEN. Raises Unavailable; then nothing of the item was written."""
        if self._loop is None:
            raise Unavailable("writer: not started")
        item.told = self._loop.create_future()
        self._queue.put(item)
        return await item.told

    # ---- the thread

    def _run(self) -> None:
        connection = self._store.connect()
        going = True
        while going:
            batch = []
            item = self._queue.get()
            with contextlib.suppress(Empty):
                while item is not None:
                    batch.append(item)
                    item = self._queue.get_nowait() if len(batch) < BATCH else None
            going = bool(batch) and (item is not None or len(batch) == BATCH)
            if batch:
                self._commit(connection, batch)
                self._tell(batch)
        connection.close()

    def _commit(self, connection: Connection, batch: list[Item]) -> None:
        """Together; if one cannot be written, each alone, so that it does not take the others with it."""
        try:
            self._store.batch(connection, lambda c: self._write(c, batch))
        except Unavailable as error:
            self._failed(batch, error)
        except _UsedUp:
            self._failed(batch, Verdict.USED_UP)
        except Exception as error:
            self._failed(batch, error)
        else:
            return
        if len(batch) > 1 and not isinstance(batch[0].verdict, Unavailable):
            for item in batch:
                self._commit(connection, [item])

    def _failed(self, batch: list[Item], verdict: Verdict | Exception) -> None:
        self._heads.clear()
        self._accessed.clear()
        for item in batch:
            item.verdict = verdict

    def _write(self, connection: Connection, batch: list[Item]) -> None:
        # The version moves when any other connection has committed. Unmoved, all that was read since the last
        # commit still holds: neither standings nor chain heads have to be read again.
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self.version or len(self._heads) > HEADS_HELD:
            self._heads.clear()
        accepted = [item for item in batch if _holds(connection, item, version)]
        if not uses.spend(connection, [count for item in accepted for count in item.counts]):
            raise _UsedUp
        for item in accepted:
            self._with(connection, item)
        self._log.append_all(connection, [event for item in accepted for event in _events(item)], self._heads)
        self.version = version

    def _with(self, connection: Connection, item: Item) -> None:
        """What else becomes true with an entry."""
        if item.standing is not None:
            if item.once and not live.end_used_up(connection, item.standing.consent, item.event.at):
                raise _UsedUp
            self._accessed_at(connection, item.standing.consent, item.event.at)
        if item.opens is not None:
            facts = json.dumps(dict(item.event.facts))
            connection.execute(_OPEN, (item.opens, item.event.person, facts, stored(item.event.at)))
        if item.closes is not None:
            connection.execute(_CLOSE, (item.closes,))

    def _accessed_at(self, connection: Connection, consent: str, at: datetime) -> None:
        now = at.timestamp()
        if now - self._accessed.get(consent, 0.0) < ACCESS_SECONDS:
            return
        if len(self._accessed) > HEADS_HELD:
            self._accessed.clear()
        self._accessed[consent] = now
        connection.execute("UPDATE consent SET last_access_at = ? WHERE id = ?", (stored(at), consent))

    def _tell(self, batch: list[Item]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(_told, batch)


def _holds(connection: Connection, item: Item, version: int) -> bool:
    standing = item.standing
    if standing is not None and standing.version != version and not standing.holds(connection):
        item.verdict = Verdict.CHANGED
        return False
    item.verdict = Verdict.WRITTEN
    return True


def _events(item: Item) -> list[Event]:
    """The entry, and the end of an agreement for one use, which it brings with it (law 4)."""
    if not item.once or item.standing is None:
        return [item.event]
    kept = {name: item.event.facts[name] for name in _OF_THE_END if name in item.event.facts}
    ended = Event(
        "consent_ended", item.event.person, item.event.at, "system", {**kept, "reason": str(EndReason.USED_UP)}
    )
    return [item.event, ended]


def _told(batch: list[Item]) -> None:
    for item in batch:
        told = item.told
        if told is None or told.done():
            continue
        if isinstance(item.verdict, Verdict):
            told.set_result(item.verdict)
        else:
            told.set_exception(item.verdict or Unavailable("writer: no verdict"))


def stored(at: datetime) -> str:
    """An instant the way the ORM's columns hold it: UTC without a zone."""
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
