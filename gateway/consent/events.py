"""The chain of events of one consent: appended in the transaction of the change, never touched again."""

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from gateway.consent.actors import Actor
from gateway.consent.rules import Act, advance
from gateway.consent.tables import Consent, ConsentEvent
from gateway.consent.terms import canonical, sha256


def append(
    session: Session,
    consent: Consent,
    act: Act,
    actor: Actor,
    at: datetime,
    reason: str = "",
    version: int | None = None,
) -> ConsentEvent:
    last = session.exec(
        select(ConsentEvent)
        .where(ConsentEvent.consent_id == consent.id)
        .order_by(col(ConsentEvent.seq).desc())
        .limit(1)
    ).first()
    seq, previous = (last.seq + 1, last.sha256) if last else (1, "0" * 64)
    event = ConsentEvent(
        consent_id=consent.id,
        seq=seq,
        type=act,
        at=at,
        actor=actor.kind,
        reason=reason,
        version=consent.version if version is None else version,
        prev_sha256=previous,
        sha256="",
    )
    event.sha256 = digest(event)
    session.add(event)
    return event


def digest(event: ConsentEvent) -> str:
    """Over the whole event, its predecessor's hash included."""
    return sha256(canonical(hashed(event)))


def hashed(event: ConsentEvent) -> dict[str, Any]:
    """What the hash of an event covers, as it is also given out with receipts."""
    return {
        "consent": event.consent_id,
        "seq": event.seq,
        "type": str(event.type),
        "at": event.at.isoformat(),
        "actor": event.actor,
        "reason": str(event.reason),
        "version": event.version,
        "prev": event.prev_sha256,
    }


def change(session: Session, consent: Consent, act: Act, actor: Actor, at: datetime, reason: str = "") -> None:
    """Move the consent along the table of rules.py, with its event. Raises ImpossibleAct."""
    consent.state = advance(consent.state, act)
    consent.reason = reason
    consent.generation += 1
    append(session, consent, act, actor, at, reason)
    session.add(consent)
