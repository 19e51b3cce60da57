"""The gateway's word to an organisation about whom it asks: a short ES256 JWT.

    typ aval-assertion+jwt · iss our address · aud the organisation's base address · sub the pairwise subject
    iat, exp at most 60 seconds later · jti

Linking carries a fresh one each time, and an organisation refuses a second use of its `jti` there. Reads about
the same person may share one while it lives, as they would share an access token: signing is the dearest step.
"""

from datetime import datetime

from gateway.ground.keys import KeyRing

TYPE = "aval-assertion+jwt"
SECONDS = 60


def sign(keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str) -> str:
    """A compact JWS. `jti`: fresh for each one."""
    at = int(now.timestamp())
    claims = {"iss": issuer, "aud": audience, "sub": subject, "iat": at, "exp": at + SECONDS, "jti": jti}
    return keys.sign(claims, typ=TYPE)


def header(keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str) -> tuple[bytes, bytes]:
    """The Authorization header of one call."""
    return b"authorization", b"Bearer " + sign(keys, issuer, audience, subject, now, jti).encode()
