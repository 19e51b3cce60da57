"""A consent as it is now, for deciding a data call. Read without the ORM, which takes a few microseconds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.ground.calendar.durations import parse as parse_duration
from gateway.ground.calendar.instants import Window
from gateway.ground.store import Connection


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
    guardian: str = ""  # of the person, of age or not
    guardian_name: str = ""

    @property
    def guardian_agreed(self) -> bool:
        return bool(self.terms) and self.terms["acted_by"][0]["capacity"] == "guardian"  # type: ignore[index]


_LOAD = """
    SELECT c.person_id, p.birth_date, c.app_id, c.purpose, c.state, c.reason, c.generation, c.version, t.json,
           p.guardian_id, g.name
      FROM consent c JOIN person p ON p.id = c.person_id
      LEFT JOIN person g ON g.id = p.guardian_id
      LEFT JOIN terms t ON t.consent_id = c.id AND t.version = c.version
     WHERE c.id = ?
"""


def load(connection: Connection, consent_id: str) -> LiveConsent | None:
    row = connection.execute(_LOAD, (consent_id,)).fetchone()
    if row is None:
        return None
    person, born, app, purpose, state, reason, generation, version, text, guardian, named = row
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
        guardian=guardian or "",
        guardian_name=named or "",
    )


def zone(item: Mapping[str, Any], default: str) -> str:
    """Of an item's days. The zone fixed in the terms; travelling does not move a day."""
    return str(item["frequency"][0]["zone"]) if item["frequency"] else default


def window(period: Mapping[str, Any], now: datetime, zone: str, granted_at: datetime) -> Window:
    """The period the data of this call may come from. `history` counts back from the call and begins at the start of
    that local day, so that no day is cut in two. Without `future`, data from after the agreement is not covered."""
    if period["from"] is not None:
        return Window(datetime.fromisoformat(period["from"]), datetime.fromisoformat(period["to"]))
    local = parse_duration(period["history"]).before(now.astimezone(ZoneInfo(zone)))
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(start.astimezone(now.tzinfo), None if period["future"] else granted_at)
