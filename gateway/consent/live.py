"""A consent as it is now, for whoever decides a data call: read through a bare connection, a few microseconds each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.consent.durations import parse as parse_duration
from gateway.consent.events import digest
from gateway.consent.rules import Act, EndReason, State
from gateway.consent.tables import ConsentEvent
from gateway.sectors.model import Window
from gateway.store.engine import Connection


@dataclass(frozen=True, slots=True)
class LiveConsent:
    id: str
    person: str
    birth_date: date | None
    app: str
    purpose: str
    state: str
    reason: str
    generation: int
    version: int
    granted_at: datetime | None
    until: datetime | None
    terms: Mapping[str, Any] | None  # None while only asked

    @property
    def guardian_agreed(self) -> bool:
        return bool(self.terms) and self.terms["acted_by"][0]["capacity"] == "guardian"  # type: ignore[index]


_LOAD = """
    SELECT c.person_id, p.birth_date, c.app_id, c.purpose, c.state, c.reason, c.generation, c.version, t.json
      FROM consent c JOIN person p ON p.id = c.person_id
      LEFT JOIN terms t ON t.consent_id = c.id AND t.version = c.version
     WHERE c.id = ?
"""


def load(connection: Connection, consent_id: str) -> LiveConsent | None:
    row = connection.execute(_LOAD, (consent_id,)).fetchone()
    if row is None:
        return None
    person, born, app, purpose, state, reason, generation, version, text = row
    terms = json.loads(text) if text else None
    return LiveConsent(
        id=consent_id,
        person=person,
        birth_date=date.fromisoformat(born) if born else None,
        app=app,
        purpose=purpose,
        state=state,
        reason=reason,
        generation=generation,
        version=version,
        granted_at=datetime.fromisoformat(terms["valid"]["from"]) if terms else None,
        until=datetime.fromisoformat(terms["valid"]["until"]) if terms else None,
        terms=terms,
    )


def window(period: Mapping[str, Any], now: datetime, zone: str, granted_at: datetime) -> Window:
    """The time the data may be of, at this call. `history` counts back from the call, to the start of that local day
    (so that a day is never cut in two); without `future` nothing after the agreement is covered."""
    if period["from"] is not None:
        return Window(datetime.fromisoformat(period["from"]), datetime.fromisoformat(period["to"]))
    local = parse_duration(period["history"]).before(now.astimezone(ZoneInfo(zone)))
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(start.astimezone(now.tzinfo), None if period["future"] else granted_at)


def end_used_up(connection: Connection, consent_id: str, at: datetime) -> bool:
    """End a consent for one use, inside the transaction that records that use. False: it was not active any more."""
    ended = connection.execute(
        "UPDATE consent SET state = ?, reason = ?, generation = generation + 1, ended_at = ?"
        " WHERE id = ? AND state = ?",
        (State.ENDED, EndReason.USED_UP, _stored(at), consent_id, State.ACTIVE),
    )
    if ended.rowcount != 1:
        return False
    version = connection.execute("SELECT version FROM consent WHERE id = ?", (consent_id,)).fetchone()[0]
    seq, previous = connection.execute(
        "SELECT seq, sha256 FROM consentevent WHERE consent_id = ? ORDER BY seq DESC LIMIT 1", (consent_id,)
    ).fetchone()
    event = ConsentEvent(
        consent_id=consent_id,
        seq=seq + 1,
        type=Act.ENDED,
        at=at,
        actor="system",
        reason=EndReason.USED_UP,
        version=version,
        prev_sha256=previous,
        sha256="",
    )
    connection.execute(
        "INSERT INTO consentevent (consent_id, seq, type, at, actor, reason, version, prev_sha256, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            consent_id,
            event.seq,
            event.type,
            _stored(at),
            event.actor,
            event.reason,
            version,
            previous,
            digest(event),
        ),
    )
    return True


def _stored(at: datetime) -> str:
    """A datetime the way the ORM's columns hold it: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
