"""Links: whose account it is. Rows and their sealed parts; no calls."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from gateway.ground.keys import KeyRing
from gateway.ground.store.engine import Connection
from gateway.organisations.tables import Link
from gateway.sectors.model import FoundAccount

REF_LENGTH = 22  # characters of an account's pairwise reference


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an organisation's OAuth server gave us for one person. Never shown, logged or sent elsewhere."""

    access_token: str
    refresh_token: str | None
    expires_at: int  # epoch seconds
    scope: str = ""
    resource: str = ""  # last segment of the answer's resourceURI: the subscription (ESPI)

    def __repr__(self) -> str:
        return "Credentials(…)"

    def lives(self, now: datetime, seconds: int) -> bool:
        """Whether the access token can still be used `seconds` from now."""
        return now.timestamp() + seconds < self.expires_at


@dataclass(frozen=True, slots=True)
class LinkView:
    """A live link as the hot path needs it."""

    id: str
    generation: int
    subject: str
    kind: str  # oauth | assertion
    accounts: tuple[str, ...]  # native identifiers
    access_token: str | None
    expires_at: datetime | None  # of the access token
    resource: str = ""
    whose: str = ""  # see `whose`

    def __repr__(self) -> str:
        return f"LinkView({self.id}, generation={self.generation})"


def current(session: Session, person: str, organisation: str) -> Link | None:
    """The one live link of the pair."""
    return session.exec(
        select(Link).where(Link.person_id == person, Link.organisation_id == organisation, col(Link.ended_at).is_(None))
    ).first()


def kept(session: Session, link: Link | None) -> Link | None:
    """The row taken out of its session, to be read when the transaction is over and a call is out."""
    if link is not None:
        session.expunge(link)
    return link


def is_linked(session: Session, person: str, organisation: str) -> bool:
    return current(session, person, organisation) is not None


def count(session: Session, person: str) -> int:
    """How many organisations she is linked with now."""
    live = select(func.count()).where(Link.person_id == person, col(Link.ended_at).is_(None))
    return session.exec(live).one()


def of_person(session: Session, person: str) -> dict[str, Link]:
    """Her live links by organisation."""
    rows = session.exec(select(Link).where(Link.person_id == person, col(Link.ended_at).is_(None)))
    return {row.organisation_id: row for row in rows}


_FOR_CALL = """SELECT id, generation, subject, credentials_sealed, accounts_sealed FROM link
    WHERE person_id = ? AND organisation_id = ? AND ended_at IS NULL"""


def for_call(connection: Connection, keys: KeyRing, person_id: str, organisation_id: str) -> LinkView | None:
    """The live link on a bare connection: one indexed read and two small decryptions."""
    row = connection.execute(_FOR_CALL, (person_id, organisation_id)).fetchone()
    return _view(keys, *row) if row else None


def view_of(keys: KeyRing, link: Link) -> LinkView:
    return _view(keys, link.id, link.generation, link.subject, link.credentials_sealed, link.accounts_sealed)


def _view(
    keys: KeyRing, link: str, generation: int, subject: str, credentials: bytes | None, accounts: bytes | None
) -> LinkView:
    held, known = _credentials(keys, link, credentials), _opened(keys, link, accounts)
    return LinkView(
        id=link,
        generation=generation,
        subject=subject,
        kind="oauth" if held else "assertion",
        accounts=tuple(account.native for account in known.accounts or ()),
        access_token=held.access_token if held else None,
        expires_at=datetime.fromtimestamp(held.expires_at, UTC) if held else None,
        resource=held.resource if held else "",
        whose=known.whose,
    )


# ---- whose accounts


def whose(keys: KeyRing, organisation: str, customer: str) -> str:
    """Which customer of an organisation, without saying who: a keyed mac of her number, or of her subscription.

    Organisations may number the accounts of every customer 1, 2, …: an account is hers only together with this.
    "" in, "" out: an organisation that names no customer is taken at its accounts' identifiers alone.
    """
    return keys.mac("customer", organisation, customer) if customer else ""


def reference(keys: KeyRing, app: str, person: str, organisation: str, native: str, whose: str) -> str:
    """The name by which one app knows one account: the one place where it is made.

    It says nothing to anybody else, and is another one when the link is with another customer of the organisation,
    so that an agreement never slides to accounts it was not made about.
    """
    return keys.mac("account", app, person, organisation, native, *([whose] if whose else []))[:REF_LENGTH]


def known_to(
    session: Session, keys: KeyRing, app: str, person: str, organisation: str
) -> list[tuple[str, FoundAccount]]:
    """(reference for this app, account) of all she has there by her live link."""
    link = current(session, person, organisation)
    held = _opened(keys, link.id, link.accounts_sealed) if link else _NOTHING
    return [
        (reference(keys, app, person, organisation, account.native, held.whose), account)
        for account in held.accounts or ()
    ]


# ---- the sealed parts


def seal_credentials(keys: KeyRing, link: str, credentials: Credentials) -> bytes:
    return keys.seal(json.dumps(asdict(credentials)).encode(), f"link:{link}:credentials")


def credentials(keys: KeyRing, link: Link) -> Credentials | None:
    return _credentials(keys, link.id, link.credentials_sealed)


def _credentials(keys: KeyRing, link: str, sealed: bytes | None) -> Credentials | None:
    return Credentials(**json.loads(keys.open(sealed, f"link:{link}:credentials"))) if sealed else None


@dataclass(frozen=True, slots=True)
class _Held:
    """What `accounts_sealed` holds. `accounts` None: not read yet."""

    whose: str
    accounts: list[FoundAccount] | None


_NOTHING = _Held("", None)


def seal_accounts(keys: KeyRing, link: str, found: Iterable[FoundAccount] | None, whose: str = "") -> bytes:
    accounts = None if found is None else [asdict(account) for account in found]
    return keys.seal(json.dumps({"whose": whose, "accounts": accounts}).encode(), f"link:{link}:accounts")


def _opened(keys: KeyRing, link: str, sealed: bytes | None) -> _Held:
    if not sealed:
        return _NOTHING
    kept: Any = json.loads(keys.open(sealed, f"link:{link}:accounts"))
    rows: list[dict[str, Any]] | None = kept["accounts"]
    return _Held(kept["whose"], None if rows is None else [FoundAccount(**row) for row in rows])


def found_accounts(session: Session, keys: KeyRing, person: str, organisation: str) -> list[FoundAccount]:
    """The accounts read when she linked; empty when not linked, or when they could not be read yet."""
    link = current(session, person, organisation)
    return accounts_of(keys, link) if link else []


def accounts_of(keys: KeyRing, link: Link) -> list[FoundAccount]:
    return _opened(keys, link.id, link.accounts_sealed).accounts or []


# ---- changes


def make(
    session: Session,
    keys: KeyRing,
    person: str,
    organisation: str,
    now: datetime,
    *,
    new_id: str,
    held: Credentials | None = None,
    customer: str = "",
    whose: str = "",
) -> tuple[Link, Credentials | None]:
    """The live link of the pair, made or taken over by the newer linking, and the credentials it replaces."""
    link = current(session, person, organisation)
    replaced = credentials(keys, link) if link else None
    if link is None:
        subject = keys.pairwise(person, organisation)
        link = Link(id=new_id, person_id=person, organisation_id=organisation, subject=subject, linked_at=now)
    else:
        link.generation, link.linked_at = link.generation + 1, now
    link.customer = customer
    link.accounts_sealed = seal_accounts(keys, link.id, None, whose) if whose else None
    link.credentials_sealed = seal_credentials(keys, link.id, held) if held else None
    session.add(link)
    return link, replaced


def store_accounts(
    session: Session, keys: KeyRing, link: str, found: list[FoundAccount], whose: str | None = None
) -> bool:
    """Keep what the organisation says she has now. False: the link has ended, or is another customer's meanwhile.

    `whose`: of the link they were read by; None: of whatever it is now.
    """
    row = session.get(Link, link)
    if row is None or row.ended_at is not None:
        return False
    held = _opened(keys, link, row.accounts_sealed)
    if whose is not None and held.whose != whose:
        return False
    if held.accounts != found:
        row.accounts_sealed, row.generation = seal_accounts(keys, link, found, held.whose), row.generation + 1
        session.add(row)
    return True


def store_credentials(session: Session, keys: KeyRing, link: str, old: Credentials, held: Credentials) -> bool:
    """Put `held` where `old` was. False when the link has ended or was made anew: then nothing changes."""
    row = session.get(Link, link)
    if row is None or row.ended_at is not None or credentials(keys, row) != old:
        return False
    row.credentials_sealed, row.generation = seal_credentials(keys, link, held), row.generation + 1
    session.add(row)
    return True


def end(session: Session, link: str, now: datetime, *, told: bool = False) -> bool:
    """End a live link; False when it was not live. What she has there is forgotten with it.

    Credentials stay sealed until the organisation took note (`told`): they are needed to revoke themselves.
    """
    changed = session.execute(
        update(Link)
        .where(col(Link.id) == link, col(Link.ended_at).is_(None))
        .values(
            ended_at=now,
            generation=Link.generation + 1,
            customer="",
            accounts_sealed=None,
            told_at=now if told else None,
            **({"credentials_sealed": None} if told else {}),
        )
    )
    if changed.rowcount:  # type: ignore[attr-defined]
        return True
    return False


def untold(session: Session) -> list[Link]:
    """Ended links whose end the organisation does not know yet, oldest first."""
    query = select(Link).where(col(Link.ended_at).is_not(None), col(Link.told_at).is_(None))
    rows = list(session.exec(query.order_by(col(Link.ended_at))))
    session.expunge_all()
    return rows


def told(session: Session, link: str, now: datetime) -> None:
    session.execute(update(Link).where(col(Link.id) == link).values(told_at=now, credentials_sealed=None))
