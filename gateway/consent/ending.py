"""The end of a consent, in one place: its row, its event and its log entry.

It uses a bare connection, because two transactions need the same statements: that of a person's request (an ORM
session) and that of the data plane, which ends a single-use consent when it is used.
"""

import json
from datetime import datetime
from typing import Any

from gateway.consent import events
from gateway.consent.actors import SYSTEM, Actor
from gateway.consent.entries import About, entry
from gateway.consent.rules import NEXT, Act, EndReason, State
from gateway.ground.store import Connection, stored
from gateway.log import Event

CAN_END = tuple(state for state, act in NEXT if act is Act.ENDED)

_END = """
    UPDATE consent SET state = ?, reason = ?, generation = generation + 1, ended_at = ?
     WHERE id = ? AND state IN (?, ?) RETURNING person_id, app_id, purpose, version, generation"""
_TERMS = "SELECT json FROM terms WHERE consent_id = ? AND version = ?"


def write(
    connection: Connection,
    consent_id: str,
    actor: Actor,
    reason: EndReason,
    now: datetime,
    *,
    since: datetime | None = None,
    **more: Any,
) -> Event | None:
    """Call inside a transaction. Returns the log entry, which the caller must append in the same transaction. None: the
    consent has already ended.

    `since`: the time at which it counts as ended; None: now. `more`: further facts of the entry.
    """
    values = (State.ENDED, reason, stored(since or now), consent_id, *CAN_END)
    found = connection.execute(_END, values).fetchone()
    if found is None:
        return None
    consent = About(consent_id, *found)
    events.write(connection, consent_id, consent.version, Act.ENDED, actor, now, reason)
    agreed = connection.execute(_TERMS, (consent_id, consent.version)).fetchone()
    terms = json.loads(agreed[0]) if agreed else None
    return entry("consent_ended", consent, terms, actor, now, reason=str(reason), **more)


def used_up(connection: Connection, consent_id: str, at: datetime) -> Event | None:
    """End a consent for one use, because it has been used."""
    return write(connection, consent_id, SYSTEM, EndReason.USED_UP, at)
