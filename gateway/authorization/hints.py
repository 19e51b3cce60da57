"""ID tokens of ours that an app sends back as a hint of whom it means (id_token_hint).

1. one strict JWS of the kind of an ID token    3. made here, for one app; not in the future
2. signed by any of our keys                    4. with what every ID token of ours says

Whether it has expired does not matter for that: it shows nothing but whom the app knew (RP-Initiated Logout §2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.authorization import rules
from gateway.ground.keys import KeyRing, jose

TYPE = "JWT"
_KIND = jose.TokenKind(types=("jwt",), algorithms=rules.SIGNS)


@dataclass(frozen=True, slots=True)
class Hint:
    client_id: str
    sub: str
    sid: str  # "": of no series of sign-ins
    expires: float  # epoch seconds


def read(text: str, keys: KeyRing, issuer: str, now: float) -> Hint | None:
    """Whom the ID token is about, for which app. None: it is none of ours. `now`: epoch seconds."""
    try:
        token = jose.read(text, rules.HINT_LIMIT, _KIND)  # 1
        if not jose.verified(token, keys.jwks()["keys"]):  # 2
            return None
        claims = token.unverified  # verified by now
        if claims.get("iss") != issuer or jose.numeric_date(claims, "iat") > now + rules.CLOCK_EARLY:  # 3
            return None
        jose.numeric_date(claims, "exp")  # 4
        jose.numeric_date(claims, "auth_time")  # what is signed for other uses says no such thing
    except jose.Malformed:
        return None
    return _hint(claims)


def _hint(claims: Mapping[str, Any]) -> Hint | None:
    told = [claims.get(name) for name in ("aud", "sub")]
    texts = [one for one in told if isinstance(one, str) and one]
    sid = claims.get("sid", "")
    fine = len(texts) == len(told) and isinstance(sid, str)
    return Hint(texts[0], texts[1], sid, claims["exp"]) if fine else None
