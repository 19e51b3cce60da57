"""What an app may ask of a person who is not there: how often, and not again for long after a refusal.

Such a request is a consent in state requested like any other, with `via`, `message` and `answer_by`; it stands on the
page of her sharings until she answers it. Whatever protocol brings it, this one limit holds. What she is asked on a
page that she has opened herself, at the app's, is not limited: there she began.
"""

from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from gateway.consent.actors import Actor
from gateway.consent.rules import State
from gateway.consent.tables import Consent, Silence
from gateway.ground.store.together import AtMost, Tries
from gateway.house import House
from gateway.log import Event, Log

OPEN_AT_ONCE = 3  # requests of one app to one person that wait for an answer
DAY = 24 * 3600  # seconds
SHORTEST = timedelta(days=1)  # silence after a refusal; a person may end it, an operator not
FOR_EVER = timedelta(days=100 * 365)


class MayNotAsk(Exception):
    """This app may not ask this person now. `until`: she has refused, and it is silent until then; None: it has asked
    too much."""

    def __init__(self, until: datetime | None) -> None:
        super().__init__("silent" if until else "too many requests")
        self.until = until


def check_may_ask(session: Session, house: House, person: str, app: str, purpose: str, now: datetime) -> None:
    """Count a request that is about to be made. Raises MayNotAsk."""
    until = silent_until(session, person, app, purpose, now)
    if until is not None:
        raise MayNotAsk(until)
    tries, key = Tries(house.store, house.clock), house.keys.mac("asked", app, person)
    tries.alone(key, session)
    waiting = (Consent.person_id == person, Consent.app_id == app, Consent.state == State.REQUESTED, Consent.via != "")
    count = select(func.count()).select_from(Consent).where(*waiting, col(Consent.answer_by) > now)
    asked = AtMost(house.settings.asks_per_day, DAY)  # whatever became of them
    if session.exec(count).one() >= OPEN_AT_ONCE or tries.hit((asked,), key, session):
        raise MayNotAsk(None)


# ---- silence


def silent_until(session: Session, person: str, app: str, purpose: str, now: datetime) -> datetime | None:
    """Until when this app may not ask her for this purpose while she is not there. None: it may."""
    row = session.get(Silence, (person, app, purpose))
    return row.until if row and row.until > now else None


def silence(session: Session, consent: Consent, days: int, now: datetime) -> None:
    """She has refused: the app does not ask for the same purpose again so soon, nor sooner than she has said before."""
    until = now + max(timedelta(days=days), SHORTEST)
    before = silent_until(session, consent.person_id, consent.app_id, consent.purpose, now)
    if before is None or before < until:
        _keep(session, consent.person_id, consent.app_id, consent.purpose, now, until)


def ask_again(session: Session, person: str, app: str, purpose: str) -> None:
    """She has agreed, or lets the app ask again."""
    row = session.get(Silence, (person, app, purpose))
    if row:
        session.delete(row)


def of_person(session: Session, person: str, now: datetime) -> list[Silence]:
    """The silences that hold, the last first."""
    found = select(Silence).where(Silence.person_id == person, Silence.until > now)
    return list(session.exec(found.order_by(col(Silence.since).desc(), Silence.app_id, Silence.purpose)))


def change(
    session: Session, log: Log, person: str, app: str, purpose: str, length: timedelta, actor: Actor, now: datetime
) -> None:
    """Her own word on a silence that holds: `length` from now, 0 to end it. Nothing happens where there is none."""
    log.turn(session, person)
    if silent_until(session, person, app, purpose, now) is None:
        return
    facts = {"client": app, "purpose": purpose, **actor.named}
    if length:
        _keep(session, person, app, purpose, now, now + length)
        facts["until"] = (now + length).isoformat()
    else:
        ask_again(session, person, app, purpose)
    log.record(session, Event("asking_changed", person, now, actor.kind, facts))


def _keep(session: Session, person: str, app: str, purpose: str, now: datetime, until: datetime) -> None:
    session.merge(Silence(person_id=person, app_id=app, purpose=purpose, since=now, until=until))
    session.flush()
