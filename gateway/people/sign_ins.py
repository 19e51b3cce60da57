"""Sign-ins: rows with an end, of which the browser holds a secret and the gateway its hash.

A sign-in that still owes its second factor is a row as well (`complete` false); it opens nothing but
the page of the second factor, and is replaced by a new one with a new secret when that is given.
"""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.ground.keys import KeyRing, hashed
from gateway.ground.web.context import Caller
from gateway.log import Event, Log
from gateway.people.tables import Person, SignIn
from gateway.settings import Settings

SECOND_FACTOR_MINUTES = 10
_NOTE_EVERY = timedelta(minutes=1)  # how exactly the last page of a sign-in is known


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
) -> SignIn:
    """A new sign-in under a new secret (fresh, 256 bit). Ends of old ones are the caller's to decide."""
    length = timedelta(hours=settings.session_hours) if complete else timedelta(minutes=SECOND_FACTOR_MINUTES)
    row = SignIn(
        id=hashed(secret),
        person_id=person.id,
        at=now,
        methods=methods,
        complete=complete,
        browser=browser,
        idle_minutes=settings.session_idle_minutes,
        seen_at=now,
        ends_at=now + length,
    )
    session.add(row)
    return row


def identify(session: Session, secret: str, now: datetime) -> Caller | None:
    """Who holds this secret, if the sign-in is complete and has not ended. Reads only."""
    found = session.exec(
        select(SignIn, Person).join(Person, col(Person.id) == SignIn.person_id).where(SignIn.id == hashed(secret))
    ).first()
    if found is None:
        return None
    row, person = found
    if not is_live(row, now) or not row.complete or person.closed_at is not None:
        return None
    return Caller(
        person=person.id,
        name=person.name,
        language=person.language,
        auth_time=row.at,
        methods=tuple(row.methods.split()),
        sign_in=row.id,
        seen=(lambda writing: note_seen(writing, row.id, now)) if now - row.seen_at >= _NOTE_EVERY else None,
    )


def is_live(row: SignIn, now: datetime) -> bool:
    return row.ended_at is None and now < row.ends_at and now < row.seen_at + timedelta(minutes=row.idle_minutes)


def note_seen(session: Session, id: str, now: datetime) -> None:
    live = (col(SignIn.id) == id, col(SignIn.ended_at).is_(None), col(SignIn.seen_at) < now)
    session.execute(update(SignIn).where(*live).values(seen_at=now))


def owing_second_factor(session: Session, secret: str, now: datetime) -> tuple[SignIn, Person] | None:
    """The half-done sign-in of this secret."""
    row = session.get(SignIn, hashed(secret)) if secret else None
    person = session.get(Person, row.person_id) if row else None
    if row is None or person is None or row.complete or not is_live(row, now) or person.closed_at is not None:
        return None
    return row, person


def end(session: Session, id: str, now: datetime) -> bool:
    """End one. False when it had ended before."""
    ending = update(SignIn).where(col(SignIn.id) == id, col(SignIn.ended_at).is_(None)).values(ended_at=now)
    return bool(session.execute(ending).rowcount)  # type: ignore[attr-defined]


def end_by_secret(session: Session, secret: str, now: datetime) -> bool:
    """End whatever sign-in the browser held until now, half-done ones too."""
    return bool(secret) and end(session, hashed(secret), now)


def end_all(session: Session, person: str, now: datetime, *, but: str = "") -> int:
    """End all of a person's, `but` one. How many ended."""
    theirs = (col(SignIn.person_id) == person, col(SignIn.ended_at).is_(None), col(SignIn.id) != but)
    ended = session.execute(update(SignIn).where(*theirs).values(ended_at=now))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def sign_out(session: Session, log: Log, caller: Caller, now: datetime) -> None:
    if end(session, caller.sign_in, now):
        log.record(session, Event("signed_out", caller.person, now))


def of_person(session: Session, person: str, now: datetime) -> list[SignIn]:
    """Her live sign-ins, the latest first."""
    rows = session.exec(
        select(SignIn).where(SignIn.person_id == person, col(SignIn.ended_at).is_(None), col(SignIn.complete))
    )
    return sorted((row for row in rows if is_live(row, now)), key=lambda row: row.at, reverse=True)


def handle(keys: KeyRing, row: SignIn) -> str:
    """What a form names the row by: says nothing about the secret or its hash."""
    return keys.mac("sign-in-handle", row.id)
