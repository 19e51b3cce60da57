"""Links between people and their accounts at organisations: rows and their encrypted parts. Makes no calls."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from gateway.formats.model import FoundAccount
from gateway.ground.keys import KeyRing
from gateway.ground.store import Connection, found, raw
from gateway.ground.store.statements import ends
from gateway.organisations.tables import Link

REF_LENGTH = 22  # characters of an account's pairwise reference


@dataclass(frozen=True, slots=True)
class Credentials:
    """The tokens from an organisation's OAuth server for one person. Never shown, logged or sent elsewhere."""

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
class Matched:
    """Who the person is at the organisation, for calls that have to say it (`connections`). Never shown or logged."""

    customer: str

    def __repr__(self) -> str:
        return "Matched(…)"


DECLARED = "declared"
EARLY_SECONDS = 30  # an access token this close to its end is renewed before it is used


@dataclass(frozen=True, slots=True)
class LinkView:
    """A live link, as data calls need it."""

    id: str
    generation: int
    subject: str
    kind: str  # oauth | assertion | declared: calls are made as the declaration says
    accounts: tuple[str, ...]  # native identifiers
    access_token: str | None
    expires_at: datetime | None  # of an access token that can be renewed; one that cannot is used until it is refused
    resource: str = ""
    whose: str = ""  # see `whose`
    customer: str = ""  # see `Matched`

    def __repr__(self) -> str:
        return f"LinkView({self.id}, generation={self.generation})"


def current(session: Session, person: str, organisation: str) -> Link | None:
    """The live link of this person with this organisation. There is at most one."""
    rows = found(session, Link, "person_id = ? AND organisation_id = ? AND ended_at IS NULL", (person, organisation))
    return rows[0] if rows else None


def kept(session: Session, link: Link | None) -> Link | None:
    """The row, detached from its session, so that it can be read during a call after the transaction."""
    if link is not None:
        session.expunge(link)
    return link


def is_linked(session: Session, person: str, organisation: str) -> bool:
    return current(session, person, organisation) is not None


def count(session: Session, person: str) -> int:
    """How many organisations the person is linked with now."""
    live = select(func.count()).where(Link.person_id == person, col(Link.ended_at).is_(None))
    return session.exec(live).one()


def of_person(session: Session, person: str) -> dict[str, Link]:
    """The person's live links, by organisation."""
    rows = found(session, Link, "person_id = ? AND ended_at IS NULL", (person,))
    return {row.organisation_id: row for row in rows}


_FOR_CALL = """SELECT id, generation, subject, credentials_sealed, accounts_sealed FROM link
    WHERE person_id = ? AND organisation_id = ? AND ended_at IS NULL"""


def for_call(connection: Connection, keys: KeyRing, person_id: str, organisation_id: str) -> LinkView | None:
    """The live link, through a bare connection: one indexed read and two small decryptions."""
    row = connection.execute(_FOR_CALL, (person_id, organisation_id)).fetchone()
    return _view(keys, *row) if row else None


def view_of(keys: KeyRing, link: Link) -> LinkView:
    return _view(keys, link.id, link.generation, link.subject, link.credentials_sealed, link.accounts_sealed)


def _view(
    keys: KeyRing, link: str, generation: int, subject: str, credentials: bytes | None, accounts: bytes | None
) -> LinkView:
    held, known = _unsealed(keys, link, credentials), _opened(keys, link, accounts)
    if isinstance(held, Matched):
        natives = tuple(account.native for account in known.accounts or ())
        return LinkView(
            link, generation, subject, DECLARED, natives, None, None, whose=known.whose, customer=held.customer
        )
    return LinkView(
        id=link,
        generation=generation,
        subject=subject,
        kind="oauth" if held else "assertion",
        accounts=tuple(account.native for account in known.accounts or ()),
        access_token=held.access_token if held else None,
        expires_at=datetime.fromtimestamp(held.expires_at, UTC) if held and held.refresh_token else None,
        resource=held.resource if held else "",
        whose=known.whose,
    )


def runs_out(link: LinkView, now: datetime) -> bool:
    """Whether its access token is to be renewed before it is used."""
    return link.expires_at is not None and (link.expires_at - now).total_seconds() < EARLY_SECONDS


# ---- whose accounts


def spelled(number: str) -> str:
    """A customer number, the same however a person writes it."""
    return "".join(number.upper().split())


def whose(keys: KeyRing, organisation: str, customer: str) -> str:
    """A pseudonym for a customer of an organisation: a keyed MAC of the customer number or subscription.

    Some organisations number the accounts of each customer 1, 2, …, so an account is only identified together with its
    customer. "" gives "": if an organisation names no customer, the accounts' identifiers have to suffice.
    """
    return keys.mac("customer", organisation, customer) if customer else ""


def reference(keys: KeyRing, app: str, person: str, organisation: str, native: str, whose: str) -> str:
    """The reference by which one app knows one account. References are made only here.

    It means nothing to other apps. It changes when the link is with another customer of the organisation, so that an
    agreement about one customer's accounts never applies to another's.
    """
    return keys.mac("account", app, person, organisation, native, *([whose] if whose else []))[:REF_LENGTH]


def known_to(
    session: Session, keys: KeyRing, app: str, person: str, organisation: str
) -> list[tuple[str, FoundAccount]]:
    """(reference for this app, account) for each of the person's accounts there, if there is a live link."""
    link = current(session, person, organisation)
    held = _opened(keys, link.id, link.accounts_sealed) if link else _NOTHING
    return [
        (reference(keys, app, person, organisation, account.native, held.whose), account)
        for account in held.accounts or ()
    ]


# ---- the sealed parts


def seal_credentials(keys: KeyRing, link: str, credentials: Credentials | Matched) -> bytes:
    return keys.seal(json.dumps(asdict(credentials)).encode(), f"link:{link}:credentials")


def credentials(keys: KeyRing, link: Link) -> Credentials | None:
    held = _unsealed(keys, link.id, link.credentials_sealed)
    return held if isinstance(held, Credentials) else None


def matched(keys: KeyRing, link: Link) -> Matched | None:
    held = _unsealed(keys, link.id, link.credentials_sealed)
    return held if isinstance(held, Matched) else None


def _unsealed(keys: KeyRing, link: str, sealed: bytes | None) -> Credentials | Matched | None:
    if not sealed:
        return None
    kept: dict[str, Any] = json.loads(keys.open(sealed, f"link:{link}:credentials"))
    return Matched(**kept) if "customer" in kept else Credentials(**kept)


@dataclass(frozen=True, slots=True)
class _Held:
    """The content of `accounts_sealed`. `accounts` None: not read yet."""

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
    """The accounts that were read after linking; empty if there is no link or they could not be read yet."""
    link = current(session, person, organisation)
    return accounts_of(keys, link) if link else []


def accounts_of(keys: KeyRing, link: Link) -> list[FoundAccount]:
    return _opened(keys, link.id, link.accounts_sealed).accounts or []


def is_of_anybody(session: Session, keys: KeyRing, organisation: str, customer: str) -> bool:
    """Whether somebody is linked there as this customer. Opens one link after the other: no row says whose it is."""
    live = select(Link).where(Link.organisation_id == organisation, col(Link.ended_at).is_(None))
    held = (matched(keys, link) for link in session.exec(live.execution_options(yield_per=500)))
    return any(each is not None and spelled(each.customer) == spelled(customer) for each in held)


# ---- changes


def make(
    session: Session,
    keys: KeyRing,
    person: str,
    organisation: str,
    now: datetime,
    *,
    new_id: str,
    held: Credentials | Matched | None = None,
    customer: str = "",
    whose: str = "",
) -> tuple[Link, Credentials | None]:
    """Make the live link, or give an existing one the new credentials. Returns it and the credentials replaced.

    In the person's turn, so that there is at most one.
    """
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


def have_ended(session: Session, ids: Collection[str]) -> bool:
    """Whether one of these links is there and has ended. In the person's turn."""
    ended = select(Link.id).where(col(Link.id).in_(ids), col(Link.ended_at).is_not(None)).limit(1)
    return bool(ids) and session.exec(ended).first() is not None


def store_accounts(
    session: Session, keys: KeyRing, link: str, found: list[FoundAccount], whose: str | None = None
) -> bool:
    """Store the accounts that the organisation lists now. False: the link has ended, or is another customer's now.

    `whose`: the customer whose accounts were read; None: do not check this.
    """
    row = session.get(Link, link, with_for_update=True, populate_existing=True)
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
    """Replace the credentials `old` by `held`; where these are there already, it was done before. False: the link has
    ended or has other credentials; nothing changes."""
    row = session.get(Link, link, with_for_update=True, populate_existing=True)
    if row is None or row.ended_at is not None:
        return False
    if (now := credentials(keys, row)) != old:
        return now == held
    row.credentials_sealed, row.generation = seal_credentials(keys, link, held), row.generation + 1
    session.add(row)
    return True


def end(session: Session, link: str, now: datetime, *, told: bool = False) -> bool:
    """End a live link and forget the accounts. False: it was not live.

    Credentials stay, encrypted, until the organisation has been told (`told`): they are needed for revoking them.
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
        ends(raw(session))
        return True
    return False


def untold(session: Session) -> list[Link]:
    """Ended links of which the organisation has not been told yet, oldest first."""
    query = select(Link).where(col(Link.ended_at).is_not(None), col(Link.told_at).is_(None))
    rows = list(session.exec(query.order_by(col(Link.ended_at))))
    session.expunge_all()
    return rows


def told(session: Session, link: str, now: datetime) -> None:
    session.execute(update(Link).where(col(Link.id) == link).values(told_at=now, credentials_sealed=None))
