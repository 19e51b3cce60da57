"""At start-up: a stream that was still running when the last process ended gets an entry with outcome `unknown`."""

import json
from datetime import UTC, datetime

from gateway.errors import Unavailable
from gateway.ground.store import Store
from gateway.ledger.writer import Item, Verdict, Writer
from gateway.log import Event


async def close_open_streams(store: Store, writer: Writer, now: datetime) -> None:
    """Raises Unavailable when an outcome cannot be written: the gateway then serves no data."""
    connection = store.connect()
    try:
        rows = connection.execute("SELECT id, person_id, facts, begun_at FROM openstream").fetchall()
    finally:
        connection.close()
    for stream, person, facts, begun_at in rows:
        begun = datetime.fromisoformat(begun_at).replace(tzinfo=UTC)
        told = {**json.loads(facts), "outcome": "unknown", "request_id": stream}
        event = Event("access_outcome", person, max(begun, now), "system", told)
        if await writer.commit(Item(event, closes=stream)) is not Verdict.WRITTEN:
            raise Unavailable("recovery: outcome not written")
