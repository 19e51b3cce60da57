"""What waits in a stream: read in its order, taken out when the app has it, dropped when it is not to be told."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

from gateway.apps.registration import Registration
from gateway.ground.keys import KeyRing
from gateway.signals import rules, sets
from gateway.signals.rules import Status
from gateway.signals.tables import SignalEvent, SignalSilence, SignalStream


def next_few(
    session: Session, keys: KeyRing, client: Registration, stream: SignalStream, most: int
) -> tuple[list[SignalEvent], bool]:
    """The oldest that may be told now, at most so many, and whether there may be more. What is about people of whom the
    app does not want to hear goes."""
    of_it = select(SignalEvent).where(SignalEvent.stream_id == stream.id)
    if stream.status != Status.ENABLED:  # that we have stopped it is said all the same (SSF §8.1.5)
        of_it = of_it.where(SignalEvent.type == rules.STREAM_UPDATED)
    found = session.exec(of_it.order_by(col(SignalEvent.id)).limit(most + 1)).all()
    told, more = found[:most], len(found) > most
    subs = {event.jti: sets.sub(keys, client, event) for event in told}
    silent = _silent(session, stream, set(subs.values()))
    done(session, stream.id, [event.jti for event in told if subs[event.jti] in silent])
    return [event for event in told if subs[event.jti] not in silent], more


def _silent(session: Session, stream: SignalStream, subs: Collection[str]) -> set[str]:
    theirs = (SignalSilence.stream_id == stream.id, col(SignalSilence.sub).in_(subs))
    return set(session.exec(select(SignalSilence.sub).where(*theirs)))


def done(session: Session, stream_id: str, jtis: Sequence[str]) -> None:
    """These do not wait any more. Unknown ones are passed over (RFC 8936 §2.4)."""
    if jtis:
        _delete(session, SignalEvent.stream_id == stream_id, col(SignalEvent.jti).in_(jtis))


def drop(session: Session, stream_id: str) -> None:
    """Nothing waits any more."""
    _delete(session, SignalEvent.stream_id == stream_id)


def _delete(session: Session, *these: object) -> None:
    session.execute(delete(SignalEvent).where(*these).execution_options(synchronize_session=False))  # type: ignore[arg-type]


def overdue(session: Session, now: datetime, most: int) -> list[str]:
    """Streams in which something about a person has waited for too long; of so many events at most."""
    waited = (col(SignalEvent.at) < now - rules.KEPT, SignalEvent.person_id != "")
    found = session.exec(select(SignalEvent.stream_id).where(*waited).order_by(col(SignalEvent.at)).limit(most))
    return list(dict.fromkeys(found))
