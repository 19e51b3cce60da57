"""People added by the operator: the `aval people add` command, and the demo."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from gateway.ground.calendar.instants import local_day
from gateway.ground.keys import fresh
from gateway.log import Log
from gateway.people import accounts, passwords
from gateway.people.tables import Person
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Checked details with the password already hashed, so that `add_person` holds the writer's lock only briefly."""

    draft: accounts.Draft
    password_hash: str | None
    language: str


def prepare(
    *,
    name: str,
    email: str,
    password: str | None,
    today: date,
    language: str = "en",
    birth_date: date | None = None,
) -> NewPerson:
    """Check the details and hash the password, outside of any transaction. Raises ValueError with the fault, in
    English."""
    form = {"name": name, "email": email, "birth_date": birth_date.isoformat() if birth_date else ""}
    draft, wrong = accounts.draft(form, today)
    if password is not None:
        weak = passwords.weakness(password, (name, email))
        wrong = {**wrong, **({"password": weak} if weak else {})}
    if draft is None or wrong:
        raise ValueError("; ".join(f"{field}: {words}" for field, words in wrong.items()))
    return NewPerson(draft, passwords.hash_(password) if password is not None else None, language)


def add_person(
    session: Session, log: Log, settings: Settings, new: NewPerson, now: datetime, *, guardian_email: str | None = None
) -> Person:
    """Add the account, with its guardian if one is named. Raises ValueError: address taken, guardian not possible."""
    person = accounts.open_account(
        session, log, new.draft, new.password_hash, id=fresh(), language=new.language, now=now
    )
    if person is None:
        raise ValueError("email: this address already has an account")
    if guardian_email is not None:
        guardian = accounts.find(session, accounts.clean_email(guardian_email) or "")
        if guardian is None:
            raise ValueError("guardian: nobody has this address")
        today, majority = local_day(now, settings.zone), settings.majority_age
        refused = accounts.appoint_guardian(session, person, guardian, today, majority)
        if refused:
            raise ValueError(f"guardian: {refused}")
    return person
