"""Telling apps that somebody has signed out (OpenID Connect Back-Channel Logout 1.0).

What ends is the sign-in: agreements, families and their tokens go on, and she stops those on her own pages. Told is
every app that got an ID token in the series of sign-ins that has ended, if it registered an address for it.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.authorization import id_tokens
from gateway.authorization.openid import OPENID
from gateway.authorization.subjects import subject
from gateway.authorization.tables import AuthorizationRequest, TokenFamily
from gateway.ground.keys import KeyRing
from gateway.notices import outbox
from gateway.notices.sending import Message, NoticeKind
from gateway.notices.tables import AppNotice

KIND = "logout"
TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=2)  # §2.4 recommends two minutes at most


def sign_ins_ended(keys: KeyRing, session: Session, person: str, series: list[str], now: datetime) -> None:
    """People's `SignInsEnded`: put into the outbox whom to tell that these series of sign-ins are over."""
    _void_codes(session, series, now)
    _part_polled(session, series)
    for client_id, one in told_of(session, series):
        app = session.get(App, client_id)
        client = registration(app) if app else None
        if client and client.backchannel_logout_uri:
            about = {"sub": subject(keys, person, client), "sid": id_tokens.sid(keys, one, client_id)}
            id_ = keys.mac("logout", one, client_id)
            outbox.put(session, id_, KIND, client_id, client.backchannel_logout_uri, about, now)


def told_of(session: Session, series: list[str]) -> Iterator[tuple[str, str]]:
    """(app, series) for every app that got an ID token in one of these series of sign-ins."""
    of_them = select(TokenFamily.client_id, TokenFamily.sign_in, TokenFamily.scope)
    found = session.exec(of_them.where(col(TokenFamily.sign_in).in_(series)).distinct()).all()
    yield from dict.fromkeys((client_id, one) for client_id, one, scope in found if OPENID in scope.split())


def _void_codes(session: Session, series: list[str], now: datetime) -> None:
    """A code that would still sign her in to an app is worth nothing any more: the app would not be told."""
    unspent = select(AuthorizationRequest.id, AuthorizationRequest.scope).where(
        col(AuthorizationRequest.sign_in).in_(series),
        AuthorizationRequest.kind == "code",  # a device has no part in what this browser does
        col(AuthorizationRequest.redeemed_at).is_(None),
        col(AuthorizationRequest.code_expires_at) > now,
    )
    found = [id for id, scope in session.exec(unspent) if OPENID in scope.split()]
    if found:
        these = (col(AuthorizationRequest.id).in_(found), col(AuthorizationRequest.redeemed_at).is_(None))
        ending = update(AuthorizationRequest).where(*these).values(code_expires_at=now)
        session.execute(ending.execution_options(synchronize_session=False))


def _part_polled(session: Session, series: list[str]) -> None:
    """What an app polls for was never a part of what this browser does: she is signed in to it as she has said, and
    that has no part in a series that is over."""
    polled = (
        col(AuthorizationRequest.sign_in).in_(series),
        col(AuthorizationRequest.kind) != "code",
        col(AuthorizationRequest.redeemed_at).is_(None),
    )
    parting = update(AuthorizationRequest).where(*polled).values(sign_in="")
    session.execute(parting.execution_options(synchronize_session=False))


def kind(keys: KeyRing, issuer: str) -> NoticeKind:
    """How the outbox tells of it."""

    def make(session: Session, notice: AppNotice, now: datetime) -> Message | None:
        app = session.get(App, notice.client_id)
        client = registration(app) if app else None
        if client is None or client.backchannel_logout_uri != notice.address:
            return None
        token = _token(keys, issuer, notice, json.loads(notice.about), client.id_token_alg, now)
        return Message(urlencode({"logout_token": token}).encode(), "application/x-www-form-urlencoded")

    return NoticeKind(make)


def _token(
    keys: KeyRing, issuer: str, notice: AppNotice, about: Mapping[str, str], algorithm: str, now: datetime
) -> str:
    """§2.4. A new one for each try, so that none lives longer than it must; never with a nonce."""
    claims = {
        "iss": issuer,
        "aud": notice.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": keys.mac("logout jti", notice.id, str(notice.attempts)),
        "events": {EVENT: {}},
        "sub": about["sub"],
        "sid": about["sid"],
    }
    return keys.sign(claims, typ=TYPE, algorithm=algorithm)
