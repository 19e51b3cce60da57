"""The gateway's word to an organisation about whom it asks: a short ES256 JWT, one per call.

    typ aval-assertion+jwt · iss our address · aud the organisation's base address · sub the pairwise subject
    iat, exp at most 60 seconds later · jti, never twice

An organisation may refuse a second use of one `jti`, so an assertion is made for each call and never kept.
"""

from datetime import datetime

from gateway.keys import KeyRing

TYPE = "aval-assertion+jwt"
SECONDS = 60


def sign(keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str) -> str:
    """A compact JWS. `jti`: fresh for each call."""
    at = int(now.timestamp())
    claims = {"iss": issuer, "aud": audience, "sub": subject, "iat": at, "exp": at + SECONDS, "jti": jti}
    return keys.sign(claims, typ=TYPE)


def header(
    keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str
) -> tuple[bytes, bytes]:
    """The Authorization header of one call."""
    return b"authorization", b"Bearer " + sign(keys, issuer, audience, subject, now, jti).encode()
