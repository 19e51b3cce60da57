"""The end of a consent, written in one place: its row, its event, and the log entry that belongs to them.

On a bare connection, so that it is the same statement in a request of the person's and in the transaction that
records the one use a consent was for.
"""

import json
from datetime import datetime
from typing import Any

from gateway.consent import events
from gateway.consent.actors import SYSTEM, Actor
from gateway.consent.entries import About, entry
from gateway.consent.rules import NEXT, Act, EndReason, State
from gateway.ground.store.engine import Connection, stored
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
    """Inside a transaction. Returns the log entry, to be appended in the same one; None: it does not run any more.

    `since`: from when on it counts as ended; None: from now on. `more`: further facts of the entry.
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
    """The end of a consent for one use, with that use."""
    return write(connection, consent_id, SYSTEM, EndReason.USED_UP, at)
