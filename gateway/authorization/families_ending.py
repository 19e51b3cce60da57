"""All token families ended at once, because the keys that signed for them were ended in an emergency.

People by people, a few hundred in one transaction: their families end by one statement, and whoever had a token that
could still be used reads it in her log, once. The rows themselves say what is left to do, so it goes on wherever it
broke off, in the command that began it or in the gateway that leads.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.authorization.tables import TokenFamily
from gateway.consent import deciding
from gateway.consent.tables import Consent
from gateway.ground.store import raw, signing_keys
from gateway.ground.store.statements import ends
from gateway.house import House
from gateway.log import Event, Log

PEOPLE = 200  # in one transaction
REASON = "keys_ended"
KIND = "tokens_ended"  # of the log entry


def go_on(house: House, now: datetime) -> bool:
    """The next few people of the emergency under way, if there is one. True: there may be more."""
    with house.store.read() as session:
        began = signing_keys.emergency(session)
    return began is not None and bool(next_few(house, began, now))


def next_few(house: House, began: datetime, now: datetime) -> tuple[int, int] | None:
    """End the families, of the next few people, that began before the emergency did. Returns how many, and of how many
    people who could still be read; None: that was all, and the emergency is over."""
    with house.store.read() as session:
        people = _people(session, began)
    with house.store.write() as session:
        if not people:
            signing_keys.emergency_over(session, began, now)
            return None
        return _ended(session, house.log, people, began, now)


def _people(session: Session, began: datetime) -> list[str]:
    person = col(TokenFamily.person_id)
    before = (col(TokenFamily.ended_at).is_(None), col(TokenFamily.started_at) <= began)
    return list(session.scalars(select(person).where(*before).distinct().order_by(person).limit(PEOPLE)))


def _ended(session: Session, log: Log, people: Sequence[str], began: datetime, now: datetime) -> tuple[int, int]:
    log.turn(session, *people)
    these = (
        col(TokenFamily.person_id).in_(people),
        col(TokenFamily.ended_at).is_(None),
        col(TokenFamily.started_at) <= began,
    )
    found = session.exec(select(TokenFamily.person_id, TokenFamily.consent_id).where(*these)).all()
    consents = session.exec(select(Consent).where(col(Consent.id).in_({consent for _, consent in found})))
    live = {consent.id for consent in consents if consent.ended_at is None and not deciding.is_over(consent, now)}
    told = sorted({person for person, consent in found if consent in live})
    session.execute(
        update(TokenFamily)
        .where(*these)
        .values(ended_at=now, ended_reason=REASON)
        .execution_options(synchronize_session=False)
    )
    ends(raw(session))
    log.append_all(raw(session), [Event(KIND, person, now, "operator") for person in told], {})
    return len(found), len(told)
