"""What is true together when data is given, in the one order: holds → spend → end → entries.

In statements that every engine understands. SQLite's ledger writes every batch this way. PostgreSQL's has faster
statements of its own for what comes often (postgres.py), and writes the rest this way.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from gateway.consent import ending
from gateway.ground.store import Connection, stored
from gateway.ledger.contract import ACCESS_SECONDS, Count, Item, Verdict
from gateway.ledger.standing import Standing
from gateway.log import Event, Log
from gateway.log.record import Heads

ACCESSED_HELD = 4096

_SPEND = (
    'INSERT INTO "use" AS u (consent_id, item, "window", start, used) VALUES (?, ?, ?, ?, ?)'
    ' ON CONFLICT (consent_id, item, "window", start) DO UPDATE SET used = u.used + excluded.used'
    " WHERE u.used + excluded.used <= ?"
)
_OPEN = "INSERT INTO openstream (id, person_id, process, facts, begun_at) VALUES (?, ?, ?, ?, ?)"
_CLOSE = "DELETE FROM openstream WHERE id = ?"
_ACCESSED = "UPDATE consent SET last_access_at = ? WHERE id = ?"


class UsedUp(Exception):
    """A limit of some item in the batch is used up: roll back, then write the items one by one to find out whose.
    `count`: the limit; None: the only use of the consent."""

    def __init__(self, count: Count | None = None) -> None:
        super().__init__()
        self.count = count


def totals(counts: Iterable[Count]) -> list[tuple[Count, int]]:
    """How often each limit is used. Parallel calls mostly share one Count object, and id() is cheap."""
    wanted: dict[int, list[Any]] = {}
    for count in counts:
        found = wanted.get(id(count))
        if found is None:
            wanted[id(count)] = [count, 1]
        else:
            found[1] += 1
    return [(count, uses) for count, uses in wanted.values()]


def spend(connection: Connection, counts: Iterable[Count]) -> None:
    """Count one use under every given limit, inside the transaction of their entries. Raises UsedUp."""
    for count, uses in totals(counts):
        if uses > count.times or connection.execute(_SPEND, (*count.key, uses, count.times)).rowcount != 1:
            raise UsedUp(count)


class Transaction:
    """Writes batches. `holds`: whether a standing is still as it was judged, read in the transaction."""

    def __init__(self, log: Log, process: str, holds: Callable[[Connection, Standing], bool]) -> None:
        self._log, self._process, self._holds = log, process, holds
        self._accessed: dict[str, float] = {}  # consent → when its `last_access_at` was last written

    def undone(self) -> None:
        """The transaction was rolled back."""
        self._accessed.clear()

    def write(self, connection: Connection, batch: list[Item], heads: Heads) -> bool:
        """Inside a transaction. Raises UsedUp. Returns whether a consent was ended by its use."""
        accepted = [item for item in batch if self._accepts(connection, item)]
        spend(connection, [count for item in accepted for count in item.counts])
        events: list[Event] = []
        ended = False
        for item in accepted:
            events.append(item.event)
            if item.standing is not None:
                ended = self._used(connection, item, item.standing, events) or ended
            if item.opens is not None:
                facts = json.dumps(dict(item.event.facts))
                row = (item.opens, item.event.person, self._process, facts, stored(item.event.at))
                connection.execute(_OPEN, row)
        self._log.append_all(connection, events, heads)
        return ended

    def _accepts(self, connection: Connection, item: Item) -> bool:
        standing = item.standing
        if standing is not None and (self._log.frozen or not self._holds(connection, standing)):
            item.verdict = Verdict.CHANGED
            return False
        if item.closes is not None and not connection.execute(_CLOSE, (item.closes,)).rowcount:
            item.verdict = Verdict.CLOSED
            return False
        item.verdict = Verdict.WRITTEN
        return True

    def _used(self, connection: Connection, item: Item, standing: Standing, events: list[Event]) -> bool:
        """Update the consent that was used: note when, and end it if it was for one use."""
        if item.once:
            end = ending.used_up(connection, standing.consent, item.event.at)
            if end is None:
                raise UsedUp
            events.append(end)
        if self.is_due(standing.consent, item.event.at.timestamp()):
            connection.execute(_ACCESSED, (stored(item.event.at), standing.consent))
        return item.once

    def is_due(self, consent: str, now: float) -> bool:
        """Whether `last_access_at` of the consent is to be written with this use; if so, it counts as written."""
        if now - self._accessed.get(consent, 0.0) < ACCESS_SECONDS:
            return False
        if len(self._accessed) > ACCESSED_HELD:
            self._accessed.clear()
        self._accessed[consent] = now
        return True
