"""Apps that run in a browser, and the origins from which they may call (Fetch Standard, CORS protocol).

A browser lets a page read our answer only if we name the page's origin. Named are the origins of registered browser
apps and no others, without credentials: no cookie of ours is of any use to them.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sqlmodel import Session, col, delete, select

from gateway.apps.tables import App, AppOrigin

# Fields of our answers, besides the usual ones
READABLE = "DPoP-Nonce, WWW-Authenticate, Retry-After, X-Request-Id, X-Fapi-Interaction-Id, Link"
SENT = "Authorization, Content-Type, DPoP, Accept, X-Fapi-Interaction-Id"
USUAL_PORTS = {"http": ":80", "https": ":443"}
SECONDS = 600  # for so long a browser need not ask again


def of(document: Mapping[str, Any]) -> set[str]:
    """The origins of an app: those of its redirect addresses, if it is public and runs in a browser."""
    if document["token_endpoint_auth_method"] != "none" or document["application_type"] != "web":
        return set()
    parts = [urlsplit(uri) for uri in document["redirect_uris"]]
    return {_origin(part) for part in parts if part.scheme in USUAL_PORTS}


def _origin(part: SplitResult) -> str:
    """As browsers write it: without a port that is the scheme's own (RFC 6454 §6.1)."""
    return f"{part.scheme}://{part.netloc.removesuffix(USUAL_PORTS[part.scheme])}"


def forget(session: Session, client_id: str) -> None:
    session.execute(delete(AppOrigin).where(col(AppOrigin.client_id) == client_id))


def keep(session: Session, app: App) -> None:
    """Write the origins of an app that has been registered or changed."""
    forget(session, app.client_id)
    session.add_all(AppOrigin(origin=one, client_id=app.client_id) for one in sorted(of(app.metadata_)))


def every(session: Session) -> frozenset[str]:
    active = select(AppOrigin.origin).join(App, col(App.client_id) == AppOrigin.client_id)
    return frozenset(session.exec(active.where(App.status == "active")))


def is_registered(session: Session, origin: str) -> bool:
    found = select(AppOrigin).join(App, col(App.client_id) == AppOrigin.client_id)
    return session.exec(found.where(AppOrigin.origin == origin, App.status == "active").limit(1)).first() is not None


def allowed(origin: str) -> dict[str, str]:
    """The fields of an answer that a page of this origin may read."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": READABLE,
        "Vary": "Origin",
    }


def preflight(origin: str, methods: Iterable[str]) -> dict[str, str]:
    """The fields of the answer to a browser that asks what the page may send."""
    return {
        **allowed(origin),
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": SENT,
        "Access-Control-Max-Age": str(SECONDS),
    }
