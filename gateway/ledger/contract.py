"""What the data plane asks of the ledger, whichever engine is below it: judge, count and append in one commit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from gateway.ledger.standing import Standing
from gateway.log import Event

BATCH = 256  # items of one commit
ACCESS_SECONDS = 60  # a consent's `last_access_at` is written at most this often by one process
LISTING_SECONDS = 15 * 60  # following pages of one listing are the same use for this long
PROOF_SECONDS = 150  # a proof is valid for a minute before and after it was made

Key = tuple[str, str, str, int]  # consent, item, window, start


@dataclass(frozen=True, slots=True)
class Count:
    """One limit at one instant: at most `times` uses of this key."""

    key: Key
    times: int
    end: int  # epoch seconds: when the next window begins


class Verdict(Enum):
    WRITTEN = "written"
    CHANGED = "changed"  # the consent, link or directory is not as it was judged, or the log was frozen since
    USED_UP = "used up"
    REPLAYED = "replayed"  # the proof of this call has been used before
    CLOSED = "closed"  # the stream has its outcome already: another process took this one for ended


@dataclass(slots=True)
class Item:
    """One log entry, the conditions for writing it, and what else is written with it."""

    event: Event
    standing: Standing | None = None  # as judged; None: a refusal or an outcome, which no change makes wrong
    counts: tuple[Count, ...] = ()
    once: bool = False  # this use ends the consent
    opens: str | None = None  # request id of a stream that begins
    closes: str | None = None  # request id of a stream that has ended; it gets no second outcome
    proof: bytes | None = None  # of the call; spent with it
    listing: bytes | None = None  # whose following pages are the same use from now on
    verdict: Verdict | Exception | None = None  # None, after a batch: it could not be written yet, and waits
    used_up: Count | None = None  # with this verdict: the limit, if it is one that is counted
    since: float | None = None  # loop.time(), when it was first put off
    answer: "asyncio.Future[Verdict] | None" = field(default=None, repr=False)


Told = Callable[[Exception | None], None]


class Ledger(Protocol):
    """Used on the event loop only, from `start` on. What has been read is remembered; `exact` says whether what is
    remembered is always as the database has it. Where it is not, another process may have changed it a moment ago:
    then a permit is found out of date by `commit`, and a refusal is read again before it is told.
    """

    exact: bool

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises Unavailable."""

    async def stop(self) -> None: ...

    def held(self, consent: str, family: str, organisation: str) -> Standing | None:
        """What is known without asking the database; None: nothing."""

    async def standing(self, consent: str, family: str, organisation: str) -> Standing | None:
        """As the database has it now; None: there is no such consent. Raises Unavailable."""

    async def used(self, keys: Sequence[Key]) -> list[int]:
        """How many uses of each key are counted. Raises Unavailable."""

    async def listed(self, listing: bytes, now: float) -> bool:
        """Whether another process has counted a use of this listing. Raises Unavailable."""

    def commit(self, batch: list[Item], told: Told) -> None:
        """Write the batch in one transaction, item by item if that fails, and give each its verdict. `told` is called
        on the loop when all of it is on the disk, or with why it may not be. One batch at a time."""

    def fault(self) -> str:
        """Why nothing can be written until a restart; empty when all is well. Callable from any thread."""
