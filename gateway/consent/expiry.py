"""Writing down what time has ended.

A sharing is over at its end date, and a request at the end of the time to answer, whether or not
anything is written: whoever decides reads the clock (`deciding.is_over`, `asking.answer_by`). But in her
log a person would find the beginning and never the end. So the composition root runs `write_due` every
few minutes, which writes each end once, by the same verbs as every other end.
"""

from datetime import datetime, timedelta

from sqlmodel import col, or_, select

from gateway.consent import asking, deciding
from gateway.consent.actors import SYSTEM
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.house import House

AT_ONCE = 500  # ends written in one run; each is a short transaction of its own, so that nobody waits for them


def write_due(house: House, now: datetime) -> int:
    """How many ends were written. What a person decided in between stands."""
    unanswered = now - timedelta(seconds=house.settings.ask_seconds)
    due = or_(
        col(Consent.state).in_([State.ACTIVE, State.PAUSED]) & (col(Consent.until) <= now),
        (col(Consent.state) == State.REQUESTED) & (col(Consent.created_at) < unanswered),
    )
    with house.store.read() as session:
        found = list(session.exec(select(Consent.id).where(due).order_by(col(Consent.created_at)).limit(AT_ONCE)))
    for consent_id in found:
        with house.store.write() as session:
            consent = session.get(Consent, consent_id)
            if consent is None:
                continue
            asking.lapse(session, house.log, consent, now)
            if deciding.is_over(consent, now):
                deciding.end(session, house, consent, SYSTEM, EndReason.EXPIRED, now)
    return len(found)
