"""A stream whose process has ended without a word gets an entry with outcome `unknown`."""

import json
from collections.abc import Collection
from datetime import datetime

from gateway.errors import Unavailable
from gateway.ground.store import Store, instant, raw
from gateway.ledger.contract import Item, Verdict
from gateway.ledger.writer import Writer
from gateway.log import Event


async def close_open_streams(store: Store, writer: Writer, now: datetime, living: Collection[str]) -> None:
    """`living`: the processes that serve this database now. Raises Unavailable when an outcome cannot be written."""
    for stream, person, facts, begun_at, process in open_streams(store):
        if process in living:
            continue
        begun = instant(begun_at)
        told = {**json.loads(facts), "outcome": "unknown", "request_id": stream}
        event = Event("access_outcome", person, max(begun, now), "system", told)
        if await writer.commit(Item(event, closes=stream)) is not Verdict.WRITTEN:
            raise Unavailable("recovery: outcome not written")


def open_streams(store: Store) -> list[tuple[str, str, str, str, str]]:
    with store.read() as session:
        rows = raw(session).execute("SELECT id, person_id, facts, begun_at, process FROM openstream").fetchall()
    return [tuple(row) for row in rows]
