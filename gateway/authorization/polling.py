"""Requests whose answer the app fetches by asking again and again, at the token endpoint (RFC 8628 §3.4 and §3.5).

What it asks with is made of the request by a keyed MAC, and only its hash is stored: whoever knows what a person sees
of the request cannot poll with it.
"""

from datetime import datetime, timedelta

from sqlmodel import Session, select

from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.ground.keys import KeyRing, hashed

DEVICE, BACKCHANNEL, DEFERRED = KINDS = ("device", "ciba", "deferred")
INTERVAL = 5  # seconds between two polls, at first
SLOWER = 5  # that many more each time that the app asked too soon


def begin(row: AuthorizationRequest, kind: str, keys: KeyRing, until: datetime) -> str:
    """Make it one that is polled for. Returns what the app polls with: 256 bits, for it alone."""
    code = code_of(row, kind, keys)
    row.kind, row.interval = kind, INTERVAL
    row.code_sha256, row.code_expires_at = hashed(code), until
    return code


def code_of(row: AuthorizationRequest, kind: str, keys: KeyRing) -> str:
    return keys.mac(f"{kind} code", row.id)


def find(session: Session, kinds: tuple[str, ...], code: str, client_id: str) -> AuthorizationRequest | None:
    """The request for which this client polls so, whatever became of it; nobody else polls it until the transaction
    ends."""
    found = select(AuthorizationRequest).where(AuthorizationRequest.code_sha256 == hashed(code))
    row = session.exec(found.with_for_update()).first()
    return row if row and row.kind in kinds and row.client_id == client_id else None


def check(session: Session, row: AuthorizationRequest, now: datetime) -> None:
    """Refuse an app that asks too soon, or for what is not decided, refused or over (RFC 8628 §3.5)."""
    if row.code_expires_at is None or now >= row.code_expires_at:
        raise Refused("expired_token")
    if row.outcome not in ("", "granted") or _refused(session, row):
        raise Refused("access_denied")
    since, row.polled_at = row.polled_at, now
    session.add(row)
    if since is not None and now - since < timedelta(seconds=row.interval):
        row.interval += SLOWER
        raise Refused("slow_down")
    if row.outcome != "granted":
        raise Refused("authorization_pending")


def _refused(session: Session, row: AuthorizationRequest) -> bool:
    """Whether she has said no, also if her browser has not come back from it."""
    consent = session.get(Consent, row.consent_id) if row.consent_id and not row.outcome else None
    return consent is not None and consent.state == State.REFUSED
