"""The assertion that tells an organisation for which person the gateway calls: a short-lived ES256 JWT.

    typ aval-assertion+jwt · iss our address · aud the organisation's base address · sub the pairwise subject
    iat, exp at most 60 seconds later · jti

Each call for linking has a new assertion, and the organisation refuses a `jti` that was used before. Reads about the
same person may share one while it is valid, as they would share an access token, because signing takes the most time.
"""

from datetime import datetime

from gateway.ground.keys import KeyRing

TYPE = "aval-assertion+jwt"
SECONDS = 60


def sign(keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str) -> str:
    """A compact JWS. `jti`: a new random value for each."""
    at = int(now.timestamp())
    claims = {"iss": issuer, "aud": audience, "sub": subject, "iat": at, "exp": at + SECONDS, "jti": jti}
    return keys.sign(claims, typ=TYPE)


def header(keys: KeyRing, issuer: str, audience: str, subject: str, now: datetime, jti: str) -> tuple[bytes, bytes]:
    """The Authorization header of one call."""
    return b"authorization", b"Bearer " + sign(keys, issuer, audience, subject, now, jti).encode()
