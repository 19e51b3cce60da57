"""Our own access tokens (RFC 9068), read in one place for the data plane, revocation, introspection and grants.

There are two kinds, and no token is of both: one names a consent and is for organisations; one has no person behind it,
names nothing but its client, and is for this server itself.
"""

from typing import Any

from gateway.ground.keys import jose
from gateway.ground.keys.jose import Malformed
from gateway.ground.keys.ring import KeyRing

LIMIT = 16 * 1024  # characters; used when a token is made and when it is read
EARLY_SECONDS = 10  # how far another machine's clock may run ahead
KIND = jose.TokenKind(types=("at+jwt",), algorithms=("ES256",))


def read(text: str, keys: KeyRing, public_url: str, now: float) -> dict[str, Any]:
    """The claims of an access token to data, even if it has expired: the caller must compare `exp`.

    `now`: epoch seconds. Raises Malformed for any other text.
    """
    claims = _verified(text, keys, public_url, now)
    if not all(isinstance(claims.get(name), str) and claims[name] for name in ("grant_id", "fam", "client_id")):
        raise Malformed("consent, family or client")
    if not organisations(claims, public_url):
        raise Malformed("audience")
    return claims


def read_client(text: str, keys: KeyRing, public_url: str, now: float) -> dict[str, Any]:
    """The claims of a client's own access token, even if it has expired. Raises Malformed for any other text."""
    claims = _verified(text, keys, public_url, now)
    if "grant_id" in claims or "fam" in claims or claims.get("aud") != public_url:
        raise Malformed("of another kind")
    if not all(isinstance(claims.get(name), str) and claims[name] for name in ("client_id", "scope", "jti")):
        raise Malformed("client, scope or id")
    if claims.get("sub") != claims["client_id"]:
        raise Malformed("subject")
    return claims


def _verified(text: str, keys: KeyRing, public_url: str, now: float) -> dict[str, Any]:
    """What both kinds have in common."""
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
    # 3. of this gateway, not issued in the future
    claims = jose.json_object(body)
    jose.whole_number(claims, "exp")
    if claims.get("iss") != public_url or jose.whole_number(claims, "iat") > now + EARLY_SECONDS:
        raise Malformed("issuer or time")
    _check_binding(claims.get("cnf"))
    return claims


def organisations(claims: dict[str, Any], public_url: str) -> frozenset[str]:
    """The organisations in the token's audience."""
    prefix, audience = f"{public_url}/data/", claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return frozenset(one[len(prefix) :] for one in listed if isinstance(one, str) and one.startswith(prefix))


def _check_binding(confirmation: object) -> None:
    """RFC 9449 §6.1. A token bound in any other way is refused, because that binding cannot be checked here."""
    if confirmation is None:
        return
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jkt"}:
        raise Malformed("cnf")
    if not isinstance(confirmation["jkt"], str) or not confirmation["jkt"]:
        raise Malformed("cnf")
