"""What other rooms see of an app: one frozen value, read from its row."""

import base64
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from gateway.apps.registration import reader_of, registration, scopes_of
from gateway.apps.tables import App
from gateway.catalogue import Words
from gateway.consent.facts import AppView, DeclaredData


def find(session: Session, client_id: str) -> AppView | None:
    row = session.get(App, client_id)
    return view(row) if row else None


def name(session: Session, client_id: str) -> Words | None:
    """The app's present name, by language; None: there is no such app any more."""
    row = session.get(App, client_id)
    return row.metadata_.get("name") if row else None


def legal_entity(session: Session, client_id: str) -> str:
    row = session.get(App, client_id)
    return str(row.metadata_.get("legal_entity", "")) if row else ""


def all_apps(session: Session) -> list[AppView]:
    return [view(row) for row in session.exec(select(App))]


def algorithms(session: Session) -> frozenset[str]:
    """By which something may have to be signed for some app."""
    found = session.exec(select(App))
    return frozenset(name for row in found for name in registration(row).algorithms)


def view(row: App) -> AppView:
    data: dict[str, Any] = row.metadata_
    return AppView(
        client_id=row.client_id,
        name=data["name"],
        legal_entity=data["legal_entity"],
        on_behalf_of=data["on_behalf_of"],
        website=data["website"],
        privacy_policy=data["privacy_policy"],
        terms_url=data["terms"],
        deletion_contact=data["deletion_contact"],
        redirect_uris=tuple(data["redirect_uris"]),
        auth_method=row.auth_method,
        purposes=tuple(data["purposes"]),
        data=tuple(_declared(each) for each in data["data"]),
        scopes=scopes_of(data),
        recipients=tuple(data["recipients"]),
        verified=row.verified,
        active=row.status == "active",
        status_reason=row.status_reason,
        registered_at=row.registered_at,
        metadata_sha256=row.metadata_sha256,
        has_logo=bool(data["logo"]),
        came_by=row.came_by,
        reader=reader_of(row),
    )


def _declared(row: Mapping[str, Any]) -> DeclaredData:
    return DeclaredData(row["organisation"], row["dataset"], tuple(row["fields"]), row["necessity"], row["reason"])


def logo(row: App) -> tuple[str, bytes] | None:
    """(media type, bytes) of the app's logo."""
    kept = row.metadata_["logo"]
    return (kept["media_type"], base64.b64decode(kept["base64"])) if kept else None
