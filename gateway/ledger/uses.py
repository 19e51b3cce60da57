"""Counted uses: how often an agreement may be used in a calendar window. Exact for any number of calls at once.

    reserve   before the fetch, in memory, so that parallel calls do not fetch more than is left
    spend     in the transaction of the access entry, on disk: this count decides (transaction.py)
    settle    when that is committed, or nothing was given: the reservation becomes a use, or is given back

Where other processes count as well, what is in memory may be less than what is counted on disk: then one too many may
be fetched, and is not given. Before a call is refused there, the disk is read again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from gateway.ledger.contract import LISTING_SECONDS, Count, Key, Ledger

MIRRORED = 50_000
PAGES_HELD = 50_000


class Uses:
    """Used on the event loop only."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._used: OrderedDict[Key, list[int]] = OrderedDict()  # [used, reserved]
        self._pages: OrderedDict[str, float] = OrderedDict()

    async def reserve(self, counts: Sequence[Count]) -> Count | None:
        """Reserve one use under every limit, or return the limit that is used up. Raises Unavailable."""
        held = [self._used.get(count.key) for count in counts]
        if None in held:
            held = await self._read(counts)
        full = _full(counts, held)
        if full is not None and not self._ledger.exact:
            held = await self._read(counts, again=True)
            full = _full(counts, held)
        if full is not None:
            return full
        for tally in held:
            if tally is not None:
                tally[1] += 1
        return None

    def settle(self, counts: Sequence[Count], spent: bool) -> None:
        for count in counts:
            tally = self._used.get(count.key) or self._keep(count.key, 0)
            tally[1] -= 1
            tally[0] += spent

    def used_up(self, count: Count) -> None:
        """The disk says so: others have used it."""
        tally = self._used.get(count.key) or self._keep(count.key, 0)
        tally[0] = max(tally[0], count.times)

    async def _read(self, counts: Sequence[Count], *, again: bool = False) -> list[list[int] | None]:
        found = await self._ledger.used([count.key for count in counts])
        held: list[list[int] | None] = []
        for count, used in zip(counts, found, strict=True):
            tally = self._used.get(count.key) or self._keep(count.key, used)  # another may have read it meanwhile
            if again:
                tally[0] = used
            held.append(tally)
        return held

    def _keep(self, key: Key, used: int) -> list[int]:
        tally = self._used[key] = [used, 0]
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

    async def continues(self, listing: str, now: float) -> bool:
        """Whether a use of this listing was counted so recently that this call is a following page of it. Raises
        Unavailable."""
        return self._pages.get(listing, 0.0) > now or await self._ledger.listed(listing_id(listing), now)

    def to_tell(self, listing: str, now: float) -> bytes | None:
        """What others are to be told of this listing, whose use is counted now; None: they were told not long ago."""
        told = self._pages.get(listing, 0.0) - now > LISTING_SECONDS / 2
        return None if told else listing_id(listing)

    def begun(self, listing: str, now: float) -> None:
        if self._pages.get(listing, 0.0) - now > LISTING_SECONDS / 2:
            return  # as others were told
        self._pages[listing] = now + LISTING_SECONDS
        self._pages.move_to_end(listing)
        if len(self._pages) > PAGES_HELD:
            self._pages.popitem(last=False)


def _full(counts: Sequence[Count], held: Sequence[list[int] | None]) -> Count | None:
    """The first limit that leaves no use."""
    for count, tally in zip(counts, held, strict=True):
        if tally is not None and tally[0] + tally[1] >= count.times:
            return count
    return None


def listing_id(listing: str) -> bytes:
    """What other processes know it by."""
    return hashlib.sha256(listing.encode()).digest()[:16]
