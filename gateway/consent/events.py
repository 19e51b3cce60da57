"""The chain of events of one consent. Each is added in the transaction of the change and never altered."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from gateway.consent.actors import Actor
from gateway.consent.rules import Act, advance
from gateway.consent.tables import Consent, ConsentEvent
from gateway.consent.terms import canonical, sha256
from gateway.ground.store import Connection, raw, stored, turn
from gateway.ground.store.rows import made
from gateway.log.record import person_turn

_LAST = "SELECT seq, sha256 FROM consentevent WHERE consent_id = ? ORDER BY seq DESC LIMIT 1"
_INSERT = """
    INSERT INTO consentevent (consent_id, seq, type, at, actor, reason, version, prev_sha256, sha256)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def change(session: Session, consent: Consent, act: Act, actor: Actor, at: datetime, reason: str = "") -> None:
    """Change the consent's state as the table of rules.py says, and add the event. Raises ImpossibleAct.

    In the person's turn: a state that somebody else has changed meanwhile is read again before it is advanced.
    """
    turn(session, person_turn(consent.person_id))
    consent.state = advance(consent.state, act)
    consent.reason = reason
    consent.generation += 1
    consent.draft = None
    session.add(consent)
    append(session, consent, act, actor, at, reason)


def append(session: Session, consent: Consent, act: Act, actor: Actor, at: datetime, reason: str = "") -> None:
    session.flush()
    write(raw(session), consent.id, consent.version, act, actor, at, reason)


def write(
    connection: Connection, consent_id: str, version: int, act: Act, actor: Actor, at: datetime, reason: str = ""
) -> None:
    """Add an event through a bare connection. Call inside a transaction."""
    seq, previous = connection.execute(_LAST, (consent_id,)).fetchone() or (0, "0" * 64)
    event = made(
        ConsentEvent,
        consent_id=consent_id,
        seq=seq + 1,
        type=act,
        at=at,
        actor=actor.kind,
        reason=reason,
        version=version,
        prev_sha256=previous,
        sha256="",
    )
    row = (consent_id, event.seq, act, stored(at), actor.kind, reason, version, previous, digest(event))
    connection.execute(_INSERT, row)


def digest(event: ConsentEvent) -> str:
    """The hash of the whole event, including the hash of the event before it."""
    return sha256(canonical(hashed(event)))


def hashed(event: ConsentEvent) -> dict[str, Any]:
    """What the hash of an event covers. Receipts contain the same, so that the hash can be checked."""
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
