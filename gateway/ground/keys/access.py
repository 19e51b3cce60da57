"""Access tokens of ours (RFC 9068): one reading for whoever is shown one, the data plane or the token's own doors."""

from typing import Any

from gateway.ground.keys import jose
from gateway.ground.keys.jose import Malformed
from gateway.ground.keys.ring import KeyRing

LIMIT = 16 * 1024  # characters; one rule for whoever makes a token and whoever reads it
EARLY_SECONDS = 10  # that another machine's clock may run ahead
KIND = jose.TokenKind(types=("at+jwt",), algorithms=("ES256",))


def read(text: str, keys: KeyRing, public_url: str, now: float) -> dict[str, Any]:
    """The claims of an access token that we made, also of an expired one: `exp` is the caller's to compare.

    `now`: epoch seconds. Raises Malformed for any other text.
    """
    if len(text) > LIMIT:
        raise Malformed("length")
    # 1. its form
    head, body, signature = jose.split(text)
    kid = jose.header_of(head, KIND).get("kid")
    # 2. made by one of our own keys
    key = keys.public_key(kid) if kid else None
    if key is None:
        raise Malformed("unknown key")
    jose.verify(key, f"{head}.{body}".encode(), signature)
    # 3. made for here, not later than now, about one consent, app and family
    claims = jose.json_object(body)
    jose.whole_number(claims, "exp")
    if claims.get("iss") != public_url or jose.whole_number(claims, "iat") > now + EARLY_SECONDS:
        raise Malformed("issuer or time")
    if not all(isinstance(claims.get(name), str) and claims[name] for name in ("grant_id", "fam", "client_id")):
        raise Malformed("consent, family or client")
    if not organisations(claims, public_url):
        raise Malformed("audience")
    _check_binding(claims.get("cnf"))
    return claims


def organisations(claims: dict[str, Any], public_url: str) -> frozenset[str]:
    """The organisations in its audience."""
    prefix, audience = f"{public_url}/data/", claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return frozenset(one[len(prefix) :] for one in listed if isinstance(one, str) and one.startswith(prefix))


def _check_binding(confirmation: object) -> None:
    """RFC 9449 §6.1. A binding of another kind cannot be checked here, so such a token opens nothing."""
    if confirmation is None:
        return
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jkt"} or not isinstance(confirmation["jkt"], str):
        raise Malformed("cnf")
