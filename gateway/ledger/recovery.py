"""A stream whose process has ended without a word gets an entry with outcome `unknown`.

The process may only have been slow, and still close its stream itself: whichever of the two comes first takes the row
of the stream away with its entry, and the other writes nothing (`Verdict.CLOSED`).
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import Unavailable
from gateway.ground.store import Store, instant, raw
from gateway.ledger.contract import Item, Verdict
from gateway.ledger.writer import Writer
from gateway.log import Event


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that has begun and has no outcome yet."""

    id: str  # request id
    person: str
    facts: str
    begun_at: datetime


def left_open(store: Store, living: Callable[[], Collection[str]]) -> list[Stream]:
    """Those of processes that do not live. Raises Unavailable."""
    with store.read() as session:
        rows = raw(session).execute("SELECT id, person_id, facts, begun_at, process FROM openstream").fetchall()
    if not rows:
        return []
    alive = living()  # asked last: a process says that it lives before it begins its first stream
    return [Stream(id, person, facts, instant(begun)) for id, person, facts, begun, of in rows if of not in alive]


async def close(writer: Writer, streams: Sequence[Stream], now: datetime) -> None:
    """Raises Unavailable when an outcome cannot be written."""
    for stream in streams:
        told = {**json.loads(stream.facts), "outcome": "unknown", "request_id": stream.id}
        event = Event("access_outcome", stream.person, max(stream.begun_at, now), "system", told)
        if await writer.commit(Item(event, closes=stream.id)) not in (Verdict.WRITTEN, Verdict.CLOSED):
            raise Unavailable("recovery: outcome not written")
