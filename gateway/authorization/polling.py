"""Requests whose answer the app fetches by asking again and again, at the token endpoint (RFC 8628 §3.4 and §3.5).

What it asks with is made of the request by a keyed MAC, and only its hash is stored: whoever knows what a person sees
of the request cannot poll with it.
"""

from datetime import datetime, timedelta

from sqlmodel import Session, select

from gateway.apps.tables import App
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.request import Ask
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.ground.keys import KeyRing, hashed
from gateway.ground.store import Clash
from gateway.log import Log

DEVICE, BACKCHANNEL, DEFERRED = KINDS = ("device", "ciba", "deferred")
INTERVAL = 5  # seconds between two polls, at first
_CLOSED = (EndReason.LAPSED, EndReason.TAKEN_BACK)
SLOWER = 5  # that many more each time that the app asked too soon


def begin(row: AuthorizationRequest, kind: str, keys: KeyRing, until: datetime) -> str:
    """Make it one that is polled for. Returns what the app polls with: 256 bits, for it alone."""
    code = code_of(row, kind, keys)
    row.kind, row.interval = kind, INTERVAL
    row.code_sha256, row.code_expires_at = hashed(code), until
    return code


def code_of(row: AuthorizationRequest, kind: str, keys: KeyRing) -> str:
    return keys.mac(f"{kind} code", row.id)


def find(session: Session, log: Log, kinds: tuple[str, ...], code: str, client_id: str) -> AuthorizationRequest | None:
    """The request for which this client polls so, whatever became of it; nobody else polls it until the transaction
    ends. First the turn of the person who is asked, then the row, as everywhere (`requests.held`). Raises Clash."""
    found = select(AuthorizationRequest).where(AuthorizationRequest.code_sha256 == hashed(code))
    row = session.exec(found).first()
    if row is None or row.kind not in kinds or row.client_id != client_id:
        return None
    consent_id = row.consent_id
    consent = session.get(Consent, consent_id) if consent_id else None
    if consent is not None:
        log.turn(session, consent.person_id)
    row = session.exec(found.with_for_update().execution_options(populate_existing=True)).one()
    if row.consent_id != consent_id:
        raise Clash("this request became another person's")
    return row


def check(session: Session, row: AuthorizationRequest, app: App, now: datetime) -> None:
    """Refuse an app that asks too soon, or for what is not decided, refused or over (RFC 8628 §3.5)."""
    if row.code_expires_at is None or now >= row.code_expires_at:
        raise Refused("expired_token")
    if row.outcome not in ("", "granted") or _is_closed(session, row, app):
        raise Refused("access_denied")
    since, row.polled_at = row.polled_at, now
    session.add(row)
    if since is not None and now - since < timedelta(seconds=row.interval):
        row.interval += SLOWER
        raise Refused("slow_down")
    if row.outcome != "granted":
        raise Refused("authorization_pending")


def _is_closed(session: Session, row: AuthorizationRequest, app: App) -> bool:
    """Whether nobody will answer it any more: she has said no, and her browser has not come back from it; it lapsed; or
    the app has registered other things since."""
    if row.outcome:
        return False
    consent = session.get(Consent, row.consent_id) if row.consent_id else None
    gone = consent is not None and (consent.state == State.REFUSED or consent.reason in _CLOSED)
    return gone or Ask.from_json(row.ask).app_metadata_sha256 != app.metadata_sha256
