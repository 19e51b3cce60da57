"""Apps that register and manage themselves (RFC 7591, RFC 7592): their rows, and the tokens by which they may.

A deleted app's row stays, as what people agreed to and read in their log stays; it can do nothing any more.
"""

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.apps import origins, verbs
from gateway.apps.declare import AppDeclaration
from gateway.apps.tables import App, AppInvite
from gateway.catalogue import Catalogue
from gateway.consent import asking, deciding
from gateway.consent.actors import APP
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.errors import DeclarationError, Fault
from gateway.ground.keys import hashed, same
from gateway.ground.store.tables import directory_changed, directory_turn
from gateway.log import Log
from gateway.organisations.views import directory
from gateway.settings import Settings


def find(session: Session, client_id: str, access: str) -> App | None:
    """The app whose registration this token manages. None: there is none, or it is another's."""
    row = session.get(App, client_id)
    kept = row.access_sha256 if row and row.status != "deleted" else None
    return row if same(hashed(access), kept or "0" * 64) and kept else None


def register(
    session: Session,
    catalogue: Catalogue,
    settings: Settings,
    declaration: AppDeclaration,
    access: str,
    invite_id: str | None,
    now: datetime,
) -> tuple[App, str | None]:
    """The new app's row, and its secret if it has one. `access`: its fresh registration access token. Raises
    DeclarationError."""
    check_names(session, declaration)
    row, secret = verbs.register(session, catalogue, settings, declaration, now)
    row.access_sha256, row.invite_id = hashed(access), invite_id
    session.add(row)
    return row, secret


def change(
    session: Session, catalogue: Catalogue, settings: Settings, row: App, declaration: AppDeclaration, now: datetime
) -> tuple[App, str | None]:
    """Put a whole new registration in place of the old (RFC 7592 §2.2). Raises DeclarationError."""
    check_names(session, declaration)
    if row.metadata_.get("sector_identifier_uri") != declaration.document.get("sector_identifier_uri"):
        wrong = "decides by which sub people are known, which cannot change"
        raise DeclarationError(row.client_id, [Fault("sector_identifier_uri", wrong, "register anew")])
    return verbs.register(session, catalogue, settings, declaration, now)


def delete(session: Session, log: Log, row: App, now: datetime) -> None:
    """The app is no more (RFC 7592 §2.3): its sharings end, and with them all its tokens."""
    directory_turn(session)
    row.status, row.status_reason, row.access_sha256, row.secret_sha256, row.changed_at = "deleted", "", None, None, now
    session.add(row)
    origins.forget(session, row.client_id)
    directory_changed(session)
    session.flush()
    still_open = col(Consent.state).in_([State.REQUESTED, State.ACTIVE, State.PAUSED])
    consents = session.exec(select(Consent).where(Consent.app_id == row.client_id, still_open)).all()
    log.turn(session, *{consent.person_id for consent in consents})
    for consent in consents:
        if consent.state == State.REQUESTED:
            asking.lapse(session, log, consent, now)
        else:
            deciding.end(session, log, consent, APP, EndReason.BY_APP, now)


def check_names(session: Session, declaration: AppDeclaration) -> None:
    """Nobody who registers himself is called like an app that the operator registered, or like an organisation. Raises
    DeclarationError."""
    theirs = [row.metadata_["name"] for row in session.exec(select(App).where(App.came_by == "file"))]
    names = (*theirs, *(one.name for one in directory(session).values()))
    taken = {_plain(text) for words in names for text in words.values()}
    if taken & {_plain(text) for text in declaration.document["name"].values()}:
        raise DeclarationError(declaration.file, [Fault("client_name", "is another's", "choose a name of your own")])


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


# ---- initial access tokens


def invite(session: Session, token: str, profile: str, uses: int, until: datetime, now: datetime) -> AppInvite:
    row = AppInvite(id=hashed(token), profile=profile, uses_left=uses, made_at=now, until=until)
    session.add(row)
    return row


def invited(session: Session, token: str, now: datetime) -> AppInvite | None:
    """The initial access token, if it is good for one more app."""
    row = session.get(AppInvite, hashed(token))
    return row if row and row.withdrawn_at is None and row.uses_left > 0 and now < row.until else None


def spend(session: Session, invite_id: str, now: datetime) -> bool:
    """Use it for one app. False: others were faster, or it was withdrawn."""
    spent = session.execute(
        update(AppInvite)
        .where(
            col(AppInvite.id) == invite_id,
            col(AppInvite.withdrawn_at).is_(None),
            col(AppInvite.uses_left) > 0,
            col(AppInvite.until) > now,
        )
        .values(uses_left=AppInvite.uses_left - 1)
        .execution_options(synchronize_session=False)
    )
    return bool(spent.rowcount == 1)  # type: ignore[attr-defined]


def invite_profile(session: Session, invite_id: str | None) -> str:
    """The only profile that was to be registered with it; "": any, or there was none."""
    row = session.get(AppInvite, invite_id) if invite_id else None
    return row.profile if row else ""


def invites(session: Session) -> list[AppInvite]:
    return list(session.exec(select(AppInvite).order_by(col(AppInvite.made_at))))


def withdraw(session: Session, name: str, now: datetime) -> int:
    """Withdraw the initial access tokens whose id begins so. Returns how many."""
    found = [row for row in invites(session) if row.id.startswith(name) and row.withdrawn_at is None]
    for row in found:
        row.withdrawn_at = now
        session.add(row)
    return len(found)
