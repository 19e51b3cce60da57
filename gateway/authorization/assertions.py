"""private_key_jwt: a client that signs who it is (RFC 7523 §3, with FAPI 2.0's narrower audience).

1. one strict JWS, of no other kind of token        4. for us, as one string
2. signed by a registered key                       5. not expired, not too long, not from the future
3. issuer = subject = client                        6. jti seen for the first time
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from gateway.apps.profiles import PROFILES
from gateway.apps.registration import Registration
from gateway.authorization import rules
from gateway.authorization.spending import first_use
from gateway.ground.keys import jose

ALGORITHMS = tuple(dict.fromkeys(one for profile in PROFILES.values() for one in profile.signs))
_KIND = jose.TokenKind(types=("jwt", "client-authentication+jwt"), algorithms=ALGORITHMS, untyped=True)


def subject(assertion: str) -> str | None:
    """The client that the assertion claims to be from. Not verified: use it only to find the keys to verify with."""
    token = _read(assertion)
    found = token.unverified.get("sub") if token else None
    return found if isinstance(found, str) else None


def proves(session: Session, assertion: str, client: Registration, public_url: str, path: str, now: datetime) -> bool:
    """Whether the assertion is this client's, meant for us, valid now and not used before. If so, it is spent.

    `path`: of the endpoint that is called.
    """
    token = _read(assertion)  # 1
    allowed = (client.assertion_alg,) if client.assertion_alg else client.profile.signs
    if token is None or token.header["alg"] not in allowed:
        return False
    if not jose.verified(token, client.jwks["keys"]):  # 2
        return False
    claims = token.unverified  # verified by now
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:  # 3
        return False
    if not _for_us(claims.get("aud"), client, public_url, path):  # 4
        return False
    until = _until(claims, now.timestamp())  # 5
    return until is not None and _first_use(session, client.client_id, claims.get("jti"), until, now)  # 6


def _for_us(audience: object, client: Registration, public_url: str, path: str) -> bool:
    """By the client's profile. With a list, or the address of an endpoint, an assertion that was made for another
    server can be used here (CVE-2025-27370), so only clients that always wrote one may still."""
    ours = (public_url, f"{public_url}/token", public_url + path)
    if client.profile.audience == "issuer":
        return audience == public_url
    if client.profile.audience == "listed" and isinstance(audience, list):
        return any(one in ours for one in audience)
    return audience in ours


def _read(assertion: str) -> jose.Signed | None:
    try:
        return jose.read(assertion, rules.ASSERTION_LIMIT, _KIND)
    except jose.Malformed:
        return None


def _until(claims: Mapping[str, Any], now: float) -> float | None:
    """`exp`, or None when it or one of the optional `iat` and `nbf` is not acceptable now."""
    try:
        until = jose.numeric_date(claims, "exp")
        begins = [jose.numeric_date(claims, name) for name in ("iat", "nbf") if name in claims]
    except jose.Malformed:
        return None
    fresh = now - rules.CLOCK_LATE < until <= now + rules.ASSERTION_SECONDS
    return until if fresh and all(at <= now + rules.CLOCK_EARLY for at in begins) else None


def _first_use(session: Session, client_id: str, jti: object, until: float, now: datetime) -> bool:
    if not isinstance(jti, str) or not 1 <= len(jti) <= 512:
        return False
    expires = datetime.fromtimestamp(until + rules.CLOCK_LATE, UTC)
    return first_use(session, f"{client_id}\n{jti}", expires, now)
