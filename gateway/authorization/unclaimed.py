"""Agreements whose tokens no app came to fetch (Grant Management §4): they end, and the person reads why.

She said yes, but her code was not redeemed in its minute: nothing could be read with it, and nothing ever can. Where
the app asks once more within a day, what she agreed to still stands for it.
"""

import contextlib
from datetime import datetime, timedelta

from sqlmodel import Session, col, exists, select

from gateway.authorization.tables import AuthorizationRequest, TokenFamily
from gateway.consent import deciding
from gateway.consent.actors import SYSTEM
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.ground.store import Clash
from gateway.house import House
from gateway.log import Log

WAITS = timedelta(days=1)  # after the last request for it could no longer be answered
LOOKS_BACK = timedelta(days=7)  # further back none is left: this runs every few minutes
AT_ONCE = 500


def end_due(house: House, now: datetime) -> int:
    """End those that are due, each in a transaction of its own. How many were found."""
    row, over = AuthorizationRequest, now - WAITS
    due = (
        select(row.consent_id)
        .join(Consent, col(Consent.id) == row.consent_id)
        .where(
            col(row.opened_by).is_not(None),
            col(row.expires_at).between(over - LOOKS_BACK, over),
            col(row.redeemed_at).is_(None),
            col(Consent.state).in_([State.ACTIVE, State.PAUSED]),
            ~exists().where(col(TokenFamily.consent_id) == col(Consent.id)),
        )
    )
    with house.store.read() as session:
        found = [one for one in session.exec(due.distinct().limit(AT_ONCE)) if one]
    for consent_id in found:
        with contextlib.suppress(Clash), house.store.write() as session:
            _end(session, house.log, consent_id, now)
    return len(found)


def _end(session: Session, log: Log, consent_id: str, now: datetime) -> None:
    consent = session.get(Consent, consent_id)
    if consent is None:
        return
    log.turn(session, consent.person_id)  # a code is redeemed in it as well
    if not _claimed(session, consent_id, now):
        deciding.end(session, log, consent, SYSTEM, EndReason.UNCLAIMED, now)


def _claimed(session: Session, consent_id: str, now: datetime) -> bool:
    """Tokens were fetched, or may be: a later request has led to the same agreement."""
    row = AuthorizationRequest
    if session.exec(select(TokenFamily.id).where(TokenFamily.consent_id == consent_id).limit(1)).first():
        return True
    later = select(row.id).where(
        col(row.opened_by).is_not(None), col(row.expires_at) > now - WAITS, row.consent_id == consent_id
    )
    return session.exec(later.limit(1)).first() is not None
