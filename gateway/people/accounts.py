"""Accounts: checks what people write about themselves, and finds, opens and changes the rows.

The mail address only serves for signing in. No mail is sent to it, so it is not known to be the person's. Beyond a
trial, the operator must check addresses before, or instead of, open registration.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.ground.calendar.ages import is_minor
from gateway.ground.store import turn
from gateway.ground.store.tables import directory_changed
from gateway.ground.web.languages import collated
from gateway.ground.web.marks import N_
from gateway.log import Event, Log
from gateway.people.tables import Person

NAME_LONGEST = 100
EMAIL_LONGEST = 254  # RFC 5321 §4.5.3.1.3
_OLDEST = 1900
# A dot-atom of RFC 5322 at a host name. Quoted local parts and address literals are not accepted.
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Draft:
    """The checked details of an account that is to be opened. Nothing is stored yet."""

    name: str
    email: str
    birth_date: date | None = None


def clean_name(text: str) -> str | None:
    """The name on one line, with single spaces. None: empty, too long, or with invisible characters."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(name) <= NAME_LONGEST or any(unicodedata.category(char).startswith("C") for char in name):
        return None
    return name if any(char.isalpha() for char in name) else None


def clean_email(text: str) -> str | None:
    """The address in lower case, with its domain in ASCII. None: not an address."""
    local, at, domain = unicodedata.normalize("NFC", text).strip().lower().rpartition("@")
    try:
        domain = domain.encode("idna").decode() if domain else ""
    except UnicodeError:
        return None
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return None
    address = f"{local}@{domain}"
    return address if len(address) <= EMAIL_LONGEST else None


def clean_birth_date(text: str, today: date) -> date | None:
    """The date. None: not a date, or not one on which a living person can have been born."""
    try:
        born = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return born if _OLDEST <= born.year and born <= today else None


def draft(form: Mapping[str, str], today: date) -> tuple[Draft | None, dict[str, str]]:
    """The details from a registration form, or None and field → what is wrong with it."""
    name, email = clean_name(form.get("name", "")), clean_email(form.get("email", ""))
    wrong = {}
    if name is None:
        wrong["name"] = N_("Write your name, on one line of at most 100 characters.")
    if email is None:
        wrong["email"] = N_("Write an e-mail address, such as name@example.org.")
    born, given = None, form.get("birth_date", "").strip()
    if given:
        born = clean_birth_date(given, today)
        if born is None:
            wrong["birth_date"] = N_("Write a date that has passed, or leave it empty.")
    if name is None or email is None or wrong:
        return None, wrong
    return Draft(name, email, born), {}


# ---- rows


def get(session: Session, person: str) -> Person | None:
    """The open account of this id."""
    row = session.get(Person, person)
    return row if row and row.closed_at is None else None


def name(session: Session, person: str) -> str | None:
    row = session.get(Person, person)
    return row.name if row else None


def find(session: Session, email: str) -> Person | None:
    """The open account with this address (as `clean_email` writes it)."""
    return session.exec(select(Person).where(Person.email == email, Person.closed_at == None)).first()  # noqa: E711


def open_account(
    session: Session, log: Log, draft: Draft, password_hash: str | None, *, id: str, language: str, now: datetime
) -> Person | None:
    """Open an account. None: the address is taken, perhaps by a closed account. `id`: a fresh secret."""
    turn(session, f"email {draft.email}")  # of two at once the second finds the address taken
    taken = col(Person.email) == draft.email
    # Write to the disk also if the address is taken (without a change). A faster answer would tell that it is taken.
    if session.execute(update(Person).where(taken).values(name=Person.name)).rowcount:  # type: ignore[attr-defined]
        return None
    person = Person(
        id=id,
        email=draft.email,
        name=draft.name,
        password_hash=password_hash,
        language=language,
        birth_date=draft.birth_date,
        created_at=now,
    )
    session.add(person)
    session.flush()
    log.record(session, Event("registered", person.id, now))
    return person


def change_password(session: Session, log: Log, person: Person, password_hash: str, now: datetime) -> None:
    person.password_hash = password_hash
    session.add(person)
    log.record(session, Event("password_changed", person.id, now))


# ---- children


def children(session: Session, guardian: str) -> list[Person]:
    found = session.exec(select(Person).where(Person.guardian_id == guardian, Person.closed_at == None))  # noqa: E711
    return sorted(found, key=lambda person: collated(person.name))


def appoint_guardian(
    session: Session, child: Person, guardian: Person | None, today: date, majority_age: int
) -> str | None:
    """Set or remove (None) the person who decides for a child. Returns why it was refused, else None. Only the operator
    does this; no page does."""
    directory_changed(session)  # who may read for the child is among what data calls remember
    if guardian is not None:
        if guardian.id == child.id or guardian.guardian_id is not None:
            return "a guardian is somebody else, who has no guardian"
        if is_minor(guardian.birth_date, today, majority_age):
            return "the guardian is under age"
        if not is_minor(child.birth_date, today, majority_age):
            return "the account is not one of a child: it has no birth date, or it is of age"
    child.guardian_id = guardian.id if guardian else None
    session.add(child)
    return None


def claims(person: Person) -> dict[str, object]:
    """What the account says of the person, by the names of OpenID Connect Core §5.1. No address is checked yet."""
    said: dict[str, object] = {"name": person.name, "email": person.email, "email_verified": False}
    if person.language:  # what is not known is left out (OpenID Connect Core §5.3.2)
        said["locale"] = person.language
    if person.birth_date:
        said["birthdate"] = person.birth_date.isoformat()
    return said
