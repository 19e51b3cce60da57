"""Sign-ins: rows that expire. The browser has the secret of its sign-in, the row only the secret's hash.

While the second factor is still to be given, `complete` is false. Such a sign-in only gives access to the page of the
second factor, and is then replaced by a new one with a new secret.

Whoever confirms that it is she gets a new sign-in in the place of the one she had: the two are of one series, which
goes on. When a series ends by somebody's doing (she signs out, here or from elsewhere, changes her password, or
somebody else signs in with the browser), the rooms that are concerned are told in the same transaction
(`SignInsEnded`). By mere expiry nobody is told: nobody has left, and an app lets its own sessions expire as it likes.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.ground.keys import KeyRing, hashed
from gateway.ground.store import instant, raw
from gateway.ground.web.context import Caller
from gateway.log import Event, Log
from gateway.people.tables import Person, SignIn
from gateway.settings import Settings


class SignInsEnded(Protocol):
    def __call__(self, session: Session, person: str, series: list[str], now: datetime) -> None:
        """These series of sign-ins of a person have ended, in this transaction. In it, too, is written what follows."""


SECOND_FACTOR_MINUTES = 10
_SIGNED_IN = """
    SELECT p.id, p.name, p.language, s.at, s.methods, s.id, s.series, s.seen_at, s.ends_at, s.idle_minutes
      FROM signin s JOIN person p ON p.id = s.person_id
     WHERE s.id = ? AND s.complete AND s.ended_at IS NULL AND p.closed_at IS NULL"""
_NOTE_EVERY = timedelta(minutes=1)  # `seen_at` is written at most this often


def begin(
    session: Session,
    person: Person,
    methods: str,
    *,
    secret: str,
    settings: Settings,
    now: datetime,
    browser: str = "",
    complete: bool = True,
    series: str = "",
) -> SignIn:
    """Begin a sign-in with a new `secret` (fresh, 256 bits). Old sign-ins stay, unless the caller ends them."""
    length = timedelta(hours=settings.session_hours) if complete else timedelta(minutes=SECOND_FACTOR_MINUTES)
    row = SignIn(
        id=hashed(secret),
        person_id=person.id,
        at=now,
        methods=methods,
        series=series,
        complete=complete,
        browser=browser,
        idle_minutes=settings.session_idle_minutes,
        seen_at=now,
        ends_at=now + length,
    )
    session.add(row)
    return row


def identify(session: Session, secret: str, now: datetime) -> Caller | None:
    """The person who is signed in with this secret. None: not complete, or ended. Only reads."""
    row = raw(session).execute(_SIGNED_IN, (hashed(secret),)).fetchone()
    if row is None:
        return None
    person, name, language, at, methods, sign_in, series, seen_at, ends_at, idle_minutes = row
    seen = instant(seen_at)
    if not _in_time(seen, instant(ends_at), idle_minutes, now):
        return None
    return Caller(
        person=person,
        name=name,
        language=language,
        auth_time=instant(at),
        methods=tuple(methods.split()),
        sign_in=sign_in,
        series=series,
        seen=partial(note_seen, id=sign_in, now=now) if now - seen >= _NOTE_EVERY else None,
        wards=partial(_wards, guardian=person),
    )


def _wards(session: Session, guardian: str) -> list[str]:
    return list(session.exec(select(Person.id).where(Person.guardian_id == guardian)))


def is_live(row: SignIn, now: datetime) -> bool:
    return row.ended_at is None and _in_time(row.seen_at, row.ends_at, row.idle_minutes, now)


def _in_time(seen_at: datetime, ends_at: datetime, idle_minutes: int, now: datetime) -> bool:
    return now < ends_at and now < seen_at + timedelta(minutes=idle_minutes)


def note_seen(session: Session, id: str, now: datetime) -> None:
    live = (col(SignIn.id) == id, col(SignIn.ended_at).is_(None), col(SignIn.seen_at) < now)
    session.execute(update(SignIn).where(*live).values(seen_at=now))


def owing_second_factor(session: Session, secret: str, now: datetime) -> tuple[SignIn, Person] | None:
    """The sign-in with this secret, if it only lacks its second factor; otherwise None."""
    row = session.get(SignIn, hashed(secret)) if secret else None
    person = session.get(Person, row.person_id) if row else None
    if row is None or person is None or row.complete or not is_live(row, now) or person.closed_at is not None:
        return None
    return row, person


def end(session: Session, ended: SignInsEnded, row: SignIn, now: datetime) -> bool:
    """End a sign-in. False: it had already ended."""
    if not _end(session, row, now):
        return False
    ended(session, row.person_id, [row.series or row.id], now)
    return True


def _end(session: Session, row: SignIn, now: datetime) -> bool:
    ending = update(SignIn).where(col(SignIn.id) == row.id, col(SignIn.ended_at).is_(None)).values(ended_at=now)
    return bool(session.execute(ending).rowcount)  # type: ignore[attr-defined]


def end_by_secret(session: Session, ended: SignInsEnded, secret: str, now: datetime) -> bool:
    """End the sign-in with this secret, also one that lacks its second factor."""
    row = session.get(SignIn, hashed(secret)) if secret else None
    return row is not None and end(session, ended, row, now)


def take_place(session: Session, ended: SignInsEnded, secret: str, person: str, now: datetime) -> str:
    """End the sign-in with this secret for the next one in the same browser, by this person. Returns the series that
    goes on; "": a new one begins, since there was none, it had ended, or it was somebody else's."""
    row = session.get(SignIn, hashed(secret)) if secret else None
    if row is None:
        return ""
    if row.person_id != person:
        end(session, ended, row, now)
        return ""
    return row.series or row.id if _end(session, row, now) else ""


def end_all(session: Session, ended: SignInsEnded, person: str, now: datetime, *, but: str = "") -> int:
    """End all sign-ins of a person except `but`. Returns how many ended."""
    theirs = (col(SignIn.person_id) == person, col(SignIn.ended_at).is_(None), col(SignIn.id) != but)
    ending = update(SignIn).where(*theirs).values(ended_at=now).returning(col(SignIn.id), col(SignIn.series))
    rows = session.execute(ending.execution_options(synchronize_session=False)).all()
    if rows:
        ended(session, person, sorted({series or id for id, series in rows}), now)
    return len(rows)


def sign_out(session: Session, log: Log, ended: SignInsEnded, caller: Caller, now: datetime) -> None:
    row = session.get(SignIn, caller.sign_in)
    if row is not None and end(session, ended, row, now):
        log.record(session, Event("signed_out", caller.person, now))


def of_person(session: Session, person: str, now: datetime) -> list[SignIn]:
    """The person's live sign-ins, latest first."""
    rows = session.exec(
        select(SignIn).where(SignIn.person_id == person, col(SignIn.ended_at).is_(None), col(SignIn.complete))
    )
    return sorted((row for row in rows if is_live(row, now)), key=lambda row: row.at, reverse=True)


def handle(keys: KeyRing, row: SignIn) -> str:
    """An identifier of the row for forms, which reveals neither the secret nor its hash."""
    return keys.mac("sign-in-handle", row.id)
