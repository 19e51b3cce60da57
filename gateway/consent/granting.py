"""What the app is told of its grant: the terms in force as authorization_details (RFC 9396 §7), with the accounts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from gateway.consent import deciding
from gateway.consent.itself import location
from gateway.consent.rules import Act, State
from gateway.consent.tables import Consent, ConsentEvent
from gateway.consent.terms import granted_items
from gateway.ground.keys.strict import is_text

_BY_APP = frozenset((Act.GRANTED, Act.EXTENDED, Act.CHANGED, Act.RENEWED))  # what follows from a request of the app


def find(session: Session, grant_id: str, app: str, now: datetime) -> Consent | None:
    """The grant of this id, running or paused. None: unknown, of another app, or over; nobody is told which."""
    consent = session.get(Consent, grant_id) if is_text(grant_id) else None
    if consent is None or consent.app_id != app or deciding.is_over(consent, now):
        return None
    return consent if consent.state in (State.ACTIVE, State.PAUSED) else None


def changed(session: Session, consent: Consent) -> tuple[datetime, str]:
    """When it changed last, and who is behind that as apps are told: "client" if the app asked for it, else
    "authorization_server"."""
    last = select(ConsentEvent).where(ConsentEvent.consent_id == consent.id)
    event = session.exec(last.order_by(col(ConsentEvent.seq).desc()).limit(1)).one()
    return event.at, "client" if event.type in _BY_APP else "authorization_server"


def details(terms: Mapping[str, Any], public_url: str) -> list[dict[str, Any]]:
    """One object per granted item. Accounts are the app's own pairwise references."""
    return [_detail(item, terms, public_url) for item in granted_items(terms)]


def organisations(terms: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(item["organisation"] for item in granted_items(terms)))


def _detail(item: Mapping[str, Any], terms: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    period = {name: value for name, value in item["period"].items() if value is not None}
    detail: dict[str, Any] = {
        "type": "data_access",
        "locations": [location(public_url, item["organisation"])],
        "datatypes": [item["dataset"]],
        "actions": ["read"],
        "purpose": terms["purpose"]["code"],
        "fields": item["fields"],
        "accounts": item["accounts"],
        "period": period,
        "frequency": [{"times": limit["times"], "per": limit["per"]} for limit in item["frequency"]],
        "valid_until": terms["valid"]["until"],
        "once": terms["valid"]["max_uses"] == 1,
        "retention": terms["retention"]["duration"],
        "necessity": item["necessity"],
    }
    if item["records_max"] is not None:
        detail["max_records"] = item["records_max"]
    return detail
