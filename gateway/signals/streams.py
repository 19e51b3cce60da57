"""A stream of an app: made, read, changed, paused, deleted (SSF §8.1), and stopped by us when nobody takes from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete as deleting
from sqlmodel import Session, col, func, select

from gateway.apps.tables import App
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store, insert, raw
from gateway.signals import hearing, rules, waiting
from gateway.signals.rules import Status
from gateway.signals.tables import SignalSilence, SignalStream

PATH = "/ssf/streams"
POLL_PATH = "/ssf/poll/{stream_id}"
UNTAKEN = "Events have waited for too long."


@dataclass(frozen=True, slots=True)
class WantedStream:
    """What a receiver says about its stream: all of it."""

    method: str = rules.POLL
    endpoint: str = ""  # "": polled
    authorization: str | None = field(default=None, repr=False)  # a secret of the app's
    requested: Sequence[str] = ()
    description: str = ""


def made(keys: KeyRing, client_id: str, wanted: WantedStream, new_id: str, now: datetime) -> SignalStream:
    """A stream that is not kept yet. `new_id`: a fresh secret."""
    return SignalStream(
        id=new_id,
        client_id=client_id,
        status=Status.ENABLED,
        made_at=now,
        due_at=now,
        **_columns(keys, new_id, wanted),
    )


def keep(session: Session, stream: SignalStream) -> bool:
    """False: the app has a stream already."""
    row = insert(session, SignalStream).values(**stream.model_dump())
    done = session.execute(row.on_conflict_do_nothing(index_elements=["client_id"]))
    return bool(done.rowcount)  # type: ignore[attr-defined]


def change(session: Session, keys: KeyRing, stream: SignalStream, wanted: WantedStream, now: datetime) -> None:
    """What waits goes the new way."""
    for name, value in _columns(keys, stream.id, wanted).items():
        setattr(stream, name, value)
    stream.due_at, stream.failing_since = now, None
    session.add(stream)


def _columns(keys: KeyRing, id_: str, wanted: WantedStream) -> dict[str, Any]:
    given = wanted.authorization
    return {
        "method": wanted.method,
        "endpoint": wanted.endpoint,
        "authorization_sealed": None if given is None else keys.seal(given.encode(), _context(id_)),
        "requested": json.dumps(list(wanted.requested)),
        "description": wanted.description,
    }


def wanted(keys: KeyRing, stream: SignalStream) -> WantedStream:
    """As the receiver said last."""
    return WantedStream(
        stream.method, stream.endpoint, authorization(keys, stream), json.loads(stream.requested), stream.description
    )


def authorization(keys: KeyRing, stream: SignalStream) -> str | None:
    """What the app wants every push to have as its Authorization field. Only the push itself and a change need it."""
    sealed = stream.authorization_sealed
    return None if sealed is None else keys.open(sealed, _context(stream.id)).decode()


def _context(stream_id: str) -> str:
    return f"signalstream:{stream_id}"


def of_app(session: Session, client_id: str) -> SignalStream | None:
    return session.exec(select(SignalStream).where(SignalStream.client_id == client_id)).first()


def find(session: Session, client_id: str, stream_id: str) -> SignalStream | None:
    """The app's own stream of this id; None: it is unknown or another's."""
    found = of_app(session, client_id)
    return found if found is not None and found.id == stream_id else None


def told(stream: SignalStream, public_url: str) -> dict[str, Any]:
    """The whole configuration (SSF §8.1.1), without the app's secret: it knows that itself."""
    requested = json.loads(stream.requested)
    endpoint = stream.endpoint or public_url + POLL_PATH.format(stream_id=stream.id)
    return {
        "stream_id": stream.id,
        "iss": public_url,
        "aud": stream.client_id,
        "events_supported": list(rules.TYPES),
        "events_requested": requested,
        "events_delivered": [one for one in rules.TYPES if one in requested],
        "delivery": {"method": stream.method, "endpoint_url": endpoint},
        "min_verification_interval": int(rules.VERIFY_EVERY.total_seconds()),
        "inactivity_timeout": int(rules.KEPT.total_seconds()),
        **({"description": stream.description} if stream.description else {}),
    }


def status(stream: SignalStream) -> dict[str, str]:
    """SSF §8.1.2.1."""
    return {
        "stream_id": stream.id,
        "status": stream.status,
        **({"reason": stream.reason} if stream.reason else {}),
    }


def set_status(session: Session, stream: SignalStream, status: Status, reason: str, now: datetime) -> None:
    stream.status, stream.reason, stream.due_at, stream.failing_since = status, reason, now, None
    session.add(stream)
    session.flush()
    if status == Status.DISABLED:
        waiting.drop(session, stream.id)


def delete(session: Session, stream: SignalStream) -> None:
    """What waits in it goes as well."""
    waiting.drop(session, stream.id)
    session.execute(deleting(SignalSilence).where(col(SignalSilence.stream_id) == stream.id))
    session.delete(stream)


def verify(session: Session, stream: SignalStream, state: str | None, now: datetime) -> int:
    """Let a verification event wait (SSF §8.1.4). Returns 0, or how many seconds are to pass before the next one."""
    soonest = stream.verified_at + rules.VERIFY_EVERY if stream.verified_at else now
    if soonest > now:
        return int((soonest - now).total_seconds()) + 1
    stream.verified_at = now
    session.add(stream)
    session.flush()
    said: Mapping[str, str] = {} if state is None else {"state": state}
    hearing.put(raw(session), stream.id, rules.VERIFICATION, said, now)
    return 0


# ---- people


def silence(session: Session, stream: SignalStream, sub: str) -> bool:
    """From now on nothing about this person. False: there are too many of whom the app does not want to hear."""
    count = session.exec(select(func.count()).where(SignalSilence.stream_id == stream.id)).one()
    if count >= rules.SILENCES:
        return False
    row = insert(session, SignalSilence).values(stream_id=stream.id, sub=sub)
    session.execute(row.on_conflict_do_nothing(index_elements=["stream_id", "sub"]))
    return True


def hear_again(session: Session, stream: SignalStream, sub: str) -> None:
    theirs = (col(SignalSilence.stream_id) == stream.id, col(SignalSilence.sub) == sub)
    session.execute(deleting(SignalSilence).where(*theirs))


# ---- looked after every few minutes

AT_ONCE = 1000  # events that are looked at in one run


def look_after(store: Store, now: datetime) -> None:
    """Stop the streams from which nobody takes; delete those of apps that are no more."""
    with store.read() as session:
        untaken = waiting.overdue(session, now, AT_ONCE)
        of_deleted = select(SignalStream.id).join(App, col(App.client_id) == SignalStream.client_id)
        gone = session.exec(of_deleted.where(App.status == "deleted")).all()
    for stream_id in gone:
        with store.write() as session:
            delete(session, session.get_one(SignalStream, stream_id))
    for stream_id in untaken:
        with store.write() as session:
            _stop_untaken(session, stream_id, now)


def _stop_untaken(session: Session, stream_id: str, now: datetime) -> None:
    """Something has waited in it for `rules.KEPT`: it is disabled, what waits is dropped, and the app reads why in a
    stream-updated event (SSF §8.1.5), whenever it comes."""
    stream = session.get(SignalStream, stream_id)
    if stream is None:  # deleted while something was put in
        waiting.drop(session, stream_id)
        return
    set_status(session, stream, Status.DISABLED, UNTAKEN, now)
    about = {"status": Status.DISABLED, "reason": UNTAKEN}
    hearing.put(raw(session), stream.id, rules.STREAM_UPDATED, about, now)
