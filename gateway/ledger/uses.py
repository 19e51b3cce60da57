"""Counted uses: how often an agreement may be used in a calendar window. Exact for any number of calls at once.

    reserve   before the fetch, in memory, so that parallel calls do not fetch more than is left
    spend     in the transaction of the access entry, on disk: this count decides
    settle    afterwards: the reservation becomes a use, or is given back because no data was given

Only this file writes the rows, and `Store.claim` allows only one process, so the counts may be mirrored in memory.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.ground.store.engine import Connection

MIRRORED = 50_000
PAGES_SECONDS = 15 * 60  # following pages of one listing are the same use for this long
PAGES_HELD = 50_000

_USED = 'SELECT used FROM "use" WHERE consent_id = ? AND item = ? AND "window" = ? AND start = ?'
_SPEND = (
    'INSERT INTO "use" (consent_id, item, "window", start, used) VALUES (?, ?, ?, ?, ?)'
    ' ON CONFLICT (consent_id, item, "window", start) DO UPDATE SET used = used + excluded.used'
    " WHERE used + excluded.used <= ?"
)

Key = tuple[str, str, str, int]  # consent, item, window, start


@dataclass(frozen=True, slots=True)
class Count:
    """One limit at one instant: at most `times` uses of this key."""

    key: Key
    times: int
    end: int  # epoch seconds: when the next window begins


class Uses:
    """Used on the event loop only. `connection` is only read from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._used: OrderedDict[Key, list[int]] = OrderedDict()  # [used, reserved]
        self._pages: OrderedDict[object, float] = OrderedDict()

    def reserve(self, counts: Sequence[Count]) -> Count | None:
        """Reserve one use under every limit, or return the limit that is used up."""
        held = [self._tally(count.key) for count in counts]
        for count, tally in zip(counts, held, strict=True):
            if tally[0] + tally[1] >= count.times:
                return count
        for tally in held:
            tally[1] += 1
        return None

    def settle(self, counts: Sequence[Count], spent: bool) -> None:
        for count in counts:
            tally = self._tally(count.key)
            tally[1] -= 1
            tally[0] += spent

    def _tally(self, key: Key) -> list[int]:
        tally = self._used.get(key)
        if tally is None:
            row = self._connection.execute(_USED, key).fetchone()
            tally = self._used[key] = [row[0] if row else 0, 0]
            while len(self._used) > MIRRORED and self._forget_oldest():
                pass
        return tally

    def _forget_oldest(self) -> bool:
        """False when the oldest has reservations and must stay: the mirror is then a little too large for a while."""
        key, tally = next(iter(self._used.items()))
        if tally[1]:
            self._used.move_to_end(key)
            return False
        del self._used[key]
        return True

    # ---- following pages

    def continues(self, listing: object, now: float) -> bool:
        """Whether a use of this listing was counted so recently that this call is a following page of it."""
        return self._pages.get(listing, 0.0) > now

    def begun(self, listing: object, now: float) -> None:
        self._pages[listing] = now + PAGES_SECONDS
        self._pages.move_to_end(listing)
        if len(self._pages) > PAGES_HELD:
            self._pages.popitem(last=False)


def spend(connection: Connection, counts: Iterable[Count]) -> bool:
    """Count one use under every given limit, inside the transaction of their entries.

    False: a limit would be passed, and the caller must roll back.
    """
    wanted: dict[int, list[Any]] = {}  # by id(): parallel calls mostly share one Count object, and id() is cheap
    for count in counts:
        found = wanted.get(id(count))
        if found is None:
            wanted[id(count)] = [count, 1]
        else:
            found[1] += 1
    return all(
        uses <= count.times and connection.execute(_SPEND, (*count.key, uses, count.times)).rowcount == 1
        for count, uses in wanted.values()
    )
