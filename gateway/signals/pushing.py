"""Events on their way to an app (RFC 8935): a box for the sender of `notices`, each stream a lane.

One event after the other, and none before the app has the one before it: so those of each person come in their order.
An answer of 202 says that the app has it, one of 400 with an error of the standard that it never will; after any other,
and after none, the same event is tried again and again, until it has waited for `rules.KEPT` (`streams.look_after`).
"""

from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.ground.keys import strict
from gateway.house import House
from gateway.notices.sending import Lane, Meaning, Message, NoticeTry, pause
from gateway.signals import rules, sets, streams, waiting
from gateway.signals.rules import Status
from gateway.signals.tables import SignalEvent, SignalStream

KIND = "signal"  # in the operator's log


def judged(status: int, body: bytes) -> Meaning:
    """RFC 8935 §2.2 to §2.4. A 400 that does not say what is wrong may be of something between us and the app."""
    if status != 400:
        return Meaning("told" if status == 202 else "")
    try:
        said = strict.loads(body, depth=rules.BODY_DEPTH)
    except strict.Malformed:
        said = None
    err = said.get("err") if isinstance(said, dict) else None
    return Meaning("refused", err) if isinstance(err, str) and err in rules.ERRORS else Meaning("")


class Pushes:
    """Implements notices.sending.Box."""

    def __init__(self, house: House) -> None:
        self._house = house

    def waiting(self, session: Session, now: datetime, most: int) -> list[Lane]:
        waits = select(SignalEvent.id).where(SignalEvent.stream_id == SignalStream.id)
        stopped = col(SignalStream.status) != Status.ENABLED
        may = or_(~stopped, waits.where(SignalEvent.type == rules.STREAM_UPDATED).exists())
        due = (SignalStream.method == rules.PUSH, col(SignalStream.due_at) <= now, waits.exists(), may)
        found = select(SignalStream.id, SignalStream.endpoint).join(App, col(App.client_id) == SignalStream.client_id)
        found = found.where(*due, App.status == "active").order_by(col(SignalStream.due_at)).limit(most)
        return [Lane(*row) for row in session.exec(found)]

    def claim(self, session: Session, lane: str, now: datetime) -> NoticeTry | None:
        stream = session.get(SignalStream, lane)
        app = session.get(App, stream.client_id) if stream else None
        client = registration(app) if app else None
        if stream is None or client is None or stream.method != rules.PUSH or stream.due_at > now:
            return None
        if not client.active:  # what a suspended app is to be told waits
            return None
        house = self._house
        found, more = waiting.next_few(session, house.keys, client, stream, 1)
        while more and not found:  # what came first is about people of whom the app does not want to hear
            found, more = waiting.next_few(session, house.keys, client, stream, 1)
        if not found:
            return None
        failing = now - stream.failing_since if stream.failing_since else timedelta(0)
        if not _take(session, stream, again_at := now + pause(failing)):
            return None
        set_ = sets.signed(house.keys, house.settings.public_url, client, stream, found[0])
        shown = streams.authorization(house.keys, stream)
        headers = ((b"authorization", shown.encode()),) if shown is not None else ()
        return NoticeTry(
            id=found[0].jti,
            kind=KIND,
            client_id=stream.client_id,
            address=stream.endpoint,
            message=Message(set_.encode(), sets.MEDIA_TYPE, headers),
            again_at=again_at,
            judge=judged,
            in_order=True,
        )

    def finish(self, session: Session, lane: str, found: NoticeTry, outcome: str, now: datetime) -> None:
        waiting.done(session, lane, [found.id])
        _free(session, lane, now)

    def hold(self, session: Session, lane: str, found: NoticeTry, now: datetime) -> None:
        begins = (col(SignalStream.id) == lane, col(SignalStream.failing_since).is_(None))
        session.execute(update(SignalStream).where(*begins).values(failing_since=now))


def _take(session: Session, stream: SignalStream, again_at: datetime) -> bool:
    """For one try. False: another process has taken it."""
    mine = (col(SignalStream.id) == stream.id, col(SignalStream.due_at) == stream.due_at)
    taken = update(SignalStream).where(*mine).values(due_at=again_at)
    done = session.execute(taken.execution_options(synchronize_session=False))
    return done.rowcount == 1  # type: ignore[attr-defined,no-any-return]


def _free(session: Session, stream_id: str, now: datetime) -> None:
    """The next event may go at once."""
    freed = update(SignalStream).where(col(SignalStream.id) == stream_id).values(due_at=now, failing_since=None)
    session.execute(freed.execution_options(synchronize_session=False))
