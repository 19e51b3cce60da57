"""Registering, suspending and resuming an app. Each change raises the directory's generation, so that the data plane
reads the app again."""

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlmodel import Session

from gateway.apps import agreed, origins
from gateway.apps.declare import AppDeclaration, against
from gateway.apps.profiles import BY_SECRET
from gateway.apps.tables import App
from gateway.catalogue import Catalogue
from gateway.errors import BadRequest, DeclarationError, NotFound
from gateway.ground.declarations import digest
from gateway.ground.keys import fresh, hashed
from gateway.ground.store.tables import directory_changed, directory_turn
from gateway.organisations.views import directory
from gateway.settings import Settings


def register(
    session: Session,
    catalogue: Catalogue,
    settings: Settings,
    declaration: AppDeclaration,
    now: datetime,
    new_secret: Callable[[], str] = fresh,
) -> tuple[App, str | None]:
    """Insert or change an app. A newly made secret is returned once and stored only as a hash.

    A changed declaration keeps the secret as long as the method of authentication stays
    one by a secret. Raises DeclarationError when it names purposes, organisations or data
    that this gateway does not have, or addresses that it would not call.
    """
    directory_turn(session)
    faults = against(declaration.document, catalogue, directory(session), settings)
    if faults:
        raise DeclarationError(declaration.file, faults)
    row, secret = session.get(App, declaration.client_id), None
    if row is None:
        row = App(
            client_id=declaration.client_id,
            came_by=declaration.came_by,
            metadata_={},
            metadata_sha256="",
            auth_method="",
            registered_at=now,
            changed_at=now,
        )
    if declaration.auth_method not in BY_SECRET:
        row.secret_sha256 = None
    elif row.secret_sha256 is None:
        secret = new_secret()
        row.secret_sha256 = hashed(secret)
    if declaration.came_by == "file":  # the operator's word: whoever registered it manages it no more
        row.came_by, row.access_sha256 = declaration.came_by, None
        row.status = "active" if row.status == "deleted" else row.status
    if row.metadata_.get("jwks_uri") != declaration.document.get("jwks_uri"):
        row.jwks_read = row.jwks_read_at = row.jwks_tried_at = None
    session.add(row)
    if digest(row.metadata_) != digest(declaration.document) or row.verified != declaration.verified:
        if not row.metadata_ or agreed.part(row.metadata_) != agreed.part(declaration.document):
            row.metadata_sha256 = declaration.sha256
        row.metadata_ = dict(declaration.document)
        row.auth_method, row.verified, row.changed_at = declaration.auth_method, declaration.verified, now
        session.add(row)
        session.flush()
        origins.keep(session, row)
        directory_changed(session)
    session.flush()
    return row, secret


def unknown_recipients(session: Session, declaration: AppDeclaration) -> Iterator[str]:
    """A warning for each recipient whose client_id no app of this gateway has: a processor may be registered later, so
    that it is no fault, but a slip of the pen gives nobody a token. Call it when all files are registered."""
    for position, row in enumerate(declaration.document["recipients"]):
        if row.get("client_id") and session.get(App, row["client_id"]) is None:
            yield f"recipients[{position}].client_id: no app here is {row['client_id']} yet; register it too"


def renew_secret(session: Session, client_id: str, now: datetime, new_secret: Callable[[], str] = fresh) -> str:
    """Replace the secret. The old one stops working at once."""
    directory_turn(session)
    row = _row(session, client_id)
    if row.auth_method not in BY_SECRET:
        kind = "is a public client" if row.auth_method == "none" else "proves who it is with a key of its own"
        raise BadRequest(f"{client_id} {kind} and has no secret")
    secret = new_secret()
    row.secret_sha256, row.changed_at = hashed(secret), now
    session.add(row)
    return secret


def suspend(session: Session, client_id: str, reason: str, now: datetime) -> None:
    """Until `resume` the app may neither ask for data nor read any. People read `reason`. Agreements stay."""
    _set_status(session, client_id, "suspended", reason, now)


def resume(session: Session, client_id: str, now: datetime) -> None:
    _set_status(session, client_id, "active", "", now)


def _set_status(session: Session, client_id: str, status: str, reason: str, now: datetime) -> None:
    directory_turn(session)
    row = _row(session, client_id)
    row.status, row.status_reason, row.changed_at = status, reason, now
    session.add(row)
    directory_changed(session)


def _row(session: Session, client_id: str) -> App:
    row = session.get(App, client_id)
    if row is None or row.status == "deleted":  # by itself: nobody brings it back
        raise NotFound(f"app {client_id}")
    return row
