"""Attempts to link: made before she leaves or is sent a code, spent once, and gone with their time.

An attempt is of one person and one organisation. Only its hash is stored: her browser alone knows the state. What has
to be known when she comes back (a verifier, a customer number) is sealed and forgotten with the spending.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select, update

from gateway.errors import NotFound
from gateway.ground.keys import KeyRing, fresh, hashed
from gateway.organisations.tables import LinkAttempt
from gateway.organisations.views import OrganisationView

MINUTES = {"oauth": 15, "sign_in": 15, "number": 10}  # time for an attempt; organisations keep a code for ten minutes
TRIES = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to link, read from its row. `secret`: its sealed part, decrypted."""

    id: str
    return_to: str
    tries: int
    secret: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Linked:
    link: str
    return_to: str
    unread: str = ""  # why the accounts could not be read yet; "": they have been read


@dataclass(frozen=True, slots=True)
class NotLinked:
    """Why there is no link: one of errors.REASONS, or `expired`, `spent`, `declined`, `wrong_code`, `no_tries`."""

    reason: str
    return_to: str = "/organisations"
    tries_left: int = 0


def add(
    session: Session,
    keys: KeyRing,
    person: str,
    view: OrganisationView,
    secret: dict[str, Any],
    return_to: str,
    now: datetime,
) -> str:
    """Store a new attempt. Returns its state, which the person's browser takes along."""
    state = fresh()
    session.add(
        LinkAttempt(
            id=hashed(state),
            person_id=person,
            organisation_id=view.id,
            sealed=keys.seal(json.dumps(secret).encode(), f"linkattempt:{hashed(state)}"),
            return_to=return_to,
            expires_at=now + timedelta(minutes=MINUTES[view.match]),
        )
    )
    return state


def find(
    session: Session, keys: KeyRing, person: str, organisation: str, state: str, now: datetime
) -> Attempt | NotLinked:
    """The person's attempt at this organisation, if it is unspent and in time. Raises NotFound for another person's."""
    row = session.exec(
        select(LinkAttempt).where(
            LinkAttempt.id == hashed(state),
            LinkAttempt.person_id == person,
            LinkAttempt.organisation_id == organisation,
        )
    ).first()
    if row is None:
        raise NotFound("link attempt")
    if row.spent_at is not None:
        return NotLinked("no_tries" if row.tries >= TRIES else "spent", row.return_to)
    if row.expires_at <= now:
        return NotLinked("expired", row.return_to)
    secret = json.loads(keys.open(row.sealed, f"linkattempt:{row.id}"))
    return Attempt(row.id, row.return_to, row.tries, secret)


def spend(session: Session, attempt: str, now: datetime) -> bool:
    """Whether nobody has spent it before."""
    spent = session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt, col(LinkAttempt.spent_at).is_(None))
        .values(spent_at=now, sealed=b"")
    )
    return bool(spent.rowcount)  # type: ignore[attr-defined]


def void(session: Session, person: str, organisation: str, now: datetime) -> None:
    """Spend all that she has open there."""
    session.execute(
        update(LinkAttempt)
        .where(
            col(LinkAttempt.person_id) == person,
            col(LinkAttempt.organisation_id) == organisation,
            col(LinkAttempt.spent_at).is_(None),
        )
        .values(spent_at=now, sealed=b"")
    )


def count_try(session: Session, attempt: Attempt, now: datetime) -> int:
    """Count a try and return its number. The last one spends the attempt before the code is checked."""
    session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt.id)
        .values(tries=LinkAttempt.tries + 1, spent_at=now if attempt.tries + 1 >= TRIES else None)
    )
    return attempt.tries + 1


def uncount_try(session: Session, attempt: str) -> None:
    """The code was not checked. One that has been spent otherwise stays so."""
    session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt, col(LinkAttempt.sealed) != b"")
        .values(tries=LinkAttempt.tries - 1, spent_at=None)
    )
