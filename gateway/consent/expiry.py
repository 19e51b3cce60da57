"""Recording the ends that come with time.

A sharing is over at its end date, and a request at the end of the time to answer, whether or not anything is written:
whoever decides reads the clock (`deciding.is_over`, `asking.answer_by`). But the person reads her log, and what ended
there without a word would stay open for ever. So the composition root runs `write_due` every few minutes; an end is
written once, with its log entry, by the verbs that write every other end. And what people stopped while the log was
frozen is done again where it was lost (`redo`).
"""

import contextlib
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from gateway.consent import asking, deciding
from gateway.consent.actors import SYSTEM
from gateway.consent.meanwhile import Done
from gateway.consent.rules import CREATE, Act, EndReason, State
from gateway.consent.tables import Consent, ConsentEvent
from gateway.ground.store import Clash
from gateway.house import House
from gateway.log import Log

AT_ONCE = 500  # ends recorded in one run, each in a short transaction of its own so that requests can write between


def write_due(house: House, now: datetime) -> int:
    """Record the ends that are due. Returns how many consents were found due; one that a person has decided about in
    the meantime is left as it is, and one that another transaction is in the way of is found due by the next run."""
    unanswered = now - timedelta(seconds=house.settings.ask_seconds)
    due = or_(
        col(Consent.state).in_([State.ACTIVE, State.PAUSED]) & (col(Consent.until) <= now),
        (col(Consent.state) == State.REQUESTED) & (col(Consent.created_at) < unanswered) & (col(Consent.via) == ""),
        (col(Consent.state) == State.REQUESTED) & (col(Consent.answer_by) <= now),
    )
    with house.store.read() as session:
        found = list(session.exec(select(Consent.id).where(due).order_by(col(Consent.created_at)).limit(AT_ONCE)))
    for consent_id in found:
        with contextlib.suppress(Clash), house.store.write() as session:
            _write(session, house.log, consent_id, now)
    return len(found)


def _write(session: Session, log: Log, consent_id: str, now: datetime) -> None:
    consent = session.get(Consent, consent_id)
    if consent is None:
        return
    log.turn(session, consent.person_id)
    asking.lapse(session, log, consent, now)
    if deciding.is_over(consent, now):
        deciding.end(session, log, consent, SYSTEM, EndReason.EXPIRED, now)


def redo(session: Session, log: Log, done: Done, now: datetime) -> bool:
    """Stop or pause again what somebody stopped or paused on a frozen log (`meanwhile.Again`), also where a new
    agreement has replaced it since the copy on which that was done: it was stopped after both."""
    consent = session.get(Consent, done.id)
    if consent is None:
        return False
    log.turn(session, consent.person_id)
    if _known(session, done):
        return False
    meant = [consent]
    if consent.reason == EndReason.REPLACED:
        found = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
        found = [one for one in found if one.action != CREATE]
        meant = [one for one in found if one.granted_at is not None and one.granted_at <= done.at]
    return any([_again(session, log, one, done, now) for one in meant])


def _again(session: Session, log: Log, consent: Consent, done: Done, now: datetime) -> bool:
    if done.act == Act.PAUSED:
        return deciding.pause(session, log, consent, done.actor, now)
    return deciding.end(session, log, consent, done.actor, EndReason(done.reason), now)


def _known(session: Session, done: Done) -> bool:
    """It was done in this database, there or by an earlier `redo`, and what came after it stands."""
    same = select(ConsentEvent).where(
        ConsentEvent.consent_id == done.id, ConsentEvent.type == done.act, ConsentEvent.at >= done.at
    )
    return session.exec(same).first() is not None
