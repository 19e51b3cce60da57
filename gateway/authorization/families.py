"""Token families: all tokens that come from one code. A family starts when its code is spent, and ends as a whole.

A code or a rotated refresh token is spent by one conditional UPDATE, in the turn of the person whose data it is for.
However many calls come at once, in however many processes, exactly one succeeds. A second use may mean that the code
or token was stolen: the family ends, and the person's log tells her.

One exception, because an answer may get lost and a client may refresh twice at once: for a short grace
(`refresh_grace_seconds`) a spent refresh token gives the very successor it was exchanged for, as long as that is
unused. There is still one successor and one chain. The price: a thief of a public client's token, which no credentials
protect, gets what the client gets. As soon as one of them uses a token later than the grace after the other, or one
that the other has gone beyond, the family ends. Several graces in a row are allowed, because a client that refreshes
in two windows at once does so every time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col

from gateway.authorization import requests
from gateway.authorization.openid import OPENID
from gateway.authorization.tables import AuthorizationRequest, RefreshSuccessor, RefreshToken, TokenFamily
from gateway.consent import deciding, meanwhile
from gateway.consent.actors import APP
from gateway.consent.meanwhile import Done
from gateway.consent.rules import Act
from gateway.consent.tables import Consent
from gateway.ground.keys import KeyRing, hashed
from gateway.ground.store import Connection, raw
from gateway.ground.store.rows import made
from gateway.ground.store.statements import ends
from gateway.house import House
from gateway.log import Event, Log
from gateway.settings import Settings

# why a family ended → kind of the log entry
ENDINGS = {
    "revoked_by_app": "app_disconnected",
    "code_replayed": "token_replay",
    "refresh_replayed": "token_replay",
    "keys_ended": "tokens_ended",  # all at once: families_ending
}


@dataclass(frozen=True, slots=True)
class GrantedFamily:
    """A live family with the consent and terms it stands on: what an access token is made of."""

    family: TokenFamily
    consent: Consent
    terms: dict[str, Any]


def redeem(
    session: Session, log: Log, request: AuthorizationRequest, holder: str, new_id: str, now: datetime
) -> TokenFamily | None:
    """Spend the code and start its family. None: refused, expired, or already spent; then its family is ended.

    `holder`: of the key or certificate by which alone the family may be refreshed (`Binding.holder`); "": by
    anybody, or its client proves who it is.
    """
    consent = session.get(Consent, request.consent_id) if request.consent_id else None
    if consent is None:
        return None
    log.turn(session, consent.person_id)
    if request.outcome != "granted":
        return None
    if not requests.spend(session, request, now, new_id):
        family = session.get(TokenFamily, request.family_id) if request.family_id else None
        if family:
            end(session, log, family, "code_replayed", now)
        return None
    consent = deciding.holding(session, consent, now)
    family = made(
        TokenFamily,
        id=new_id,
        consent_id=consent.id,
        client_id=request.client_id,
        person_id=consent.person_id,
        auth_time=request.auth_time or 0,
        started_at=now,
        version=consent.version,
        amr=request.amr,
        sign_in=request.sign_in,
        scope=request.scope,
        claims=request.claims,
        resource=request.resource,
        jkt=holder,
    )
    session.add(family)
    return family


def standing(session: Session, family: TokenFamily, now: datetime) -> GrantedFamily | str:
    """What the family stands on, or why it stands on nothing: "ended" or "paused"."""
    consent = session.get(Consent, family.consent_id)
    terms = deciding.current(session, consent) if consent else None
    if family.ended_at is not None or consent is None or terms is None or deciding.is_over(consent, now):
        return "ended"
    if family.version < consent.tokens_from:  # what was agreed to has changed since, at the app's own request
        return "ended"
    if deciding.is_live(consent, now):
        return GrantedFamily(family, consent, terms)
    return "paused" if consent.state == "paused" else "ended"


def end(session: Session, log: Log, family: TokenFamily, reason: str, now: datetime) -> None:
    """End every token of the family; the consent stays. If the family has ended before, nothing changes."""
    log.turn(session, family.person_id)
    if family.ended_at is None:
        meanwhile.keep(log, Done("family", family.id, Act.ENDED, APP, reason, now))
    ended = session.execute(
        update(TokenFamily)
        .where(col(TokenFamily.id) == family.id, col(TokenFamily.ended_at).is_(None))
        .values(ended_at=now, ended_reason=reason)
        .execution_options(synchronize_session=False)
    )
    session.expire(family)
    if ended.rowcount == 1:  # type: ignore[attr-defined]
        ends(raw(session))
        consent = session.get(Consent, family.consent_id)
        terms = deciding.current(session, consent) if consent else None
        record(session, log, ENDINGS[reason], family, terms, now, what=reason)


def redo(session: Session, log: Log, done: Done, now: datetime) -> bool:
    """End again a family that ended on a frozen log (`meanwhile.Again`)."""
    family = session.get(TokenFamily, done.id)
    if family is None or family.ended_at is not None:
        return False
    end(session, log, family, done.reason, now)
    return True


def record(
    session: Session,
    log: Log,
    kind: str,
    family: TokenFamily,
    terms: dict[str, Any] | None,
    now: datetime,
    **facts: str,
) -> None:
    """Record something about the family in the person's log. `terms`: that it stands on."""
    common = {"consent": family.consent_id, "client": family.client_id, "family": family.id}
    if terms:
        common["client_name"] = terms["app"]["name"]
    if kind == "app_disconnected":
        facts.pop("what", None)
    log.record(session, Event(kind, family.person_id, now, "app", {**common, **facts}))


_SIGNING_IN = "SELECT DISTINCT client_id, consent_id, scope FROM tokenfamily WHERE person_id = ? AND ended_at IS NULL"


def signing_in(connection: Connection, person: str) -> list[tuple[str, str]]:
    """(app, consent) of every app to which she has signed in with her account here, and has not ended that. Whether the
    consent still runs, the caller asks. On a bare connection."""
    found = connection.execute(_SIGNING_IN, (person,)).fetchall()
    return [(client, consent) for client, consent, scope in found if OPENID in scope.split()]


# ---- refresh tokens


def add_refresh(session: Session, granted: GrantedFamily, secret: str, now: datetime) -> str:
    if granted.consent.until is None:
        raise ValueError("an active consent has an end")
    granted.family.expires_at = granted.consent.until
    session.add(
        made(
            RefreshToken,
            id=hashed(secret),
            family_id=granted.family.id,
            client_id=granted.family.client_id,
            issued_at=now,
            expires_at=granted.consent.until,
        )
    )
    return secret


def find_refresh(session: Session, secret: str) -> RefreshToken | None:
    return session.get(RefreshToken, hashed(secret))


def rotate(
    session: Session, house: House, granted: GrantedFamily, token: RefreshToken, secret: str, now: datetime
) -> str | None:
    """Spend a refresh token and start its successor `secret`; within the grace, the successor it has already.

    None: it was spent for good, and its family has ended now (RFC 9700 §4.14.2).
    """
    spent = session.execute(
        update(RefreshToken)
        .where(col(RefreshToken.id) == token.id, col(RefreshToken.spent_at).is_(None))
        .values(spent_at=now)
        .execution_options(synchronize_session=False)
    )
    session.expire(token)
    if spent.rowcount == 1:  # type: ignore[attr-defined]
        _keep_successor(session, house.keys, house.settings, token, secret, now)
        return add_refresh(session, granted, secret, now)
    successor = _unused_successor(session, house.keys, token, now)
    if successor is None:
        end(session, house.log, granted.family, "refresh_replayed", now)
    return successor


def _keep_successor(
    session: Session, keys: KeyRing, settings: Settings, token: RefreshToken, secret: str, now: datetime
) -> None:
    grace = timedelta(seconds=settings.refresh_grace_seconds)
    if grace:
        sealed = keys.seal(secret.encode(), _context(token))
        session.add(RefreshSuccessor(id=token.id, sealed=sealed, expires_at=now + grace))


def _unused_successor(session: Session, keys: KeyRing, token: RefreshToken, now: datetime) -> str | None:
    kept = session.get(RefreshSuccessor, token.id)
    if kept is None or kept.expires_at <= now:
        return None
    secret = keys.open(kept.sealed, _context(token)).decode()
    successor = find_refresh(session, secret)
    return secret if successor and successor.spent_at is None else None


def _context(token: RefreshToken) -> str:
    return f"refreshsuccessor:{token.id}"
