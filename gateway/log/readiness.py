"""Whether the log can be written and proved: what `/readyz` asks this room."""

import time
from collections.abc import Callable
from functools import partial

from gateway.errors import Unavailable
from gateway.ground.store import Store, raw
from gateway.house import House
from gateway.log.notes import Signer
from gateway.log.signed import Frozen, origin, standing

LAG_SECONDS = 15  # an entry waits for its number for one second or two

_FIRST_WAITING = "SELECT min(entry_id) FROM logwaiting"


def checks(house: House) -> list[Callable[[], str]]:
    """Each says why not; empty when all is well."""
    return [partial(frozen, house), Lag(house.store).fault]


def frozen(house: House) -> str:
    """Not frozen: the last checkpoint is signed, is that of its entries' range, and agrees with the mark and with what
    was numbered since."""
    return _frozen(house) and _frozen(house)  # two beats may have come between its looks at the mark and the database


def _frozen(house: House) -> str:
    try:
        with house.store.read() as session:
            connection = raw(session)
            key = Signer(origin(connection, house.settings), house.keys.log).verifier
            standing(connection, house.settings.mark, key, alone=house.store.alone)
    except (Frozen, Unavailable, OSError) as error:
        return f"log: {error}"
    return ""


class Lag:
    """A sequencer that hangs is alive, and signs nothing: the same entry goes on waiting for its number."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._waiting = (0, 0.0)  # the first entry without a number, and since when it is that one

    def fault(self) -> str:
        now = self._clock()
        with self._store.read() as session:
            (first,) = raw(session).execute(_FIRST_WAITING).fetchone()
        if first != self._waiting[0]:
            self._waiting = first, now
        return f"nothing was signed for {LAG_SECONDS} s" if first and now - self._waiting[1] > LAG_SECONDS else ""
