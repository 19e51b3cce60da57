"""Our own access tokens (RFC 9068), read in one place for the data plane, revocation, introspection and grants.

There are two kinds, and no token is of both: one names a consent and is for organisations; one has no person behind it,
names nothing but its client, and is for this server itself.
"""

from typing import Any

from gateway.ground.keys import jose
from gateway.ground.keys.jose import Malformed
from gateway.ground.keys.ring import KeyRing

USERINFO = "/userinfo"
GRANTEE = "grant_client"  # claim of a token that an app's processor uses: the app whose grant it is
LIMIT = 16 * 1024  # characters; used when a token is made and when it is read
EARLY_SECONDS = 10  # how far another machine's clock may run ahead
KIND = jose.TokenKind(types=("at+jwt",), algorithms=("ES256",))


def read(text: str, keys: KeyRing, public_url: str, now: float, *, waits: bool = True) -> dict[str, Any]:
    """The claims of an access token to data, even if it has expired: the caller must compare `exp`.

    `now`: epoch seconds. `waits`: another process may have signed it with a key that this one has not read yet, so an
    unknown one is looked for in the database; on the event loop it must not be. Raises Malformed for any other text.
    """
    return _to_data(_verified(text, keys, public_url, now, waits), public_url)


def read_client(text: str, keys: KeyRing, public_url: str, now: float) -> dict[str, Any]:
    """The claims of a client's own access token, even if it has expired. Raises Malformed for any other text."""
    return _of_client(_verified(text, keys, public_url, now, waits=True), public_url)


def read_either(
    text: str, keys: KeyRing, public_url: str, now: float, *, waits: bool = True
) -> tuple[dict[str, Any], bool]:
    """The same of a token of either kind, and whether it is a client's own. Its signature is verified once."""
    claims = _verified(text, keys, public_url, now, waits)
    if _is_of_person(claims):
        return _to_data(claims, public_url), False
    return _of_client(claims, public_url), True


def _is_of_person(claims: dict[str, Any]) -> bool:
    return "grant_id" in claims or "fam" in claims


def _to_data(claims: dict[str, Any], public_url: str) -> dict[str, Any]:
    if not all(isinstance(claims.get(name), str) and claims[name] for name in ("grant_id", "fam", "client_id")):
        raise Malformed("consent, family or client")
    _check_exchanged(claims)
    if not organisations(claims, public_url) and not is_for_userinfo(claims, public_url):
        raise Malformed("audience")
    return claims


def _of_client(claims: dict[str, Any], public_url: str) -> dict[str, Any]:
    if _is_of_person(claims) or claims.get("aud") != public_url:
        raise Malformed("of another kind")
    if not all(isinstance(claims.get(name), str) and claims[name] for name in ("client_id", "scope", "jti")):
        raise Malformed("client, scope or id")
    if claims.get("sub") != claims["client_id"]:
        raise Malformed("subject")
    return claims


def _verified(text: str, keys: KeyRing, public_url: str, now: float, waits: bool) -> dict[str, Any]:
    """What both kinds have in common."""
    if len(text) > LIMIT:
        raise Malformed("length")
    # 1. its form
    head, body, signature = jose.split(text)
    kid = jose.header_of(head, KIND).get("kid")
    # 2. made by one of our own keys
    key = None
    if kid:
        key = keys.awaited_key(kid) if waits else keys.public_key(kid)
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


def may_be_of_new_key(text: str, keys: KeyRing) -> bool:
    """Whether this text names a key that is not known, and that another process may have made a moment ago."""
    try:
        kid = jose.header_of(jose.split(text)[0], KIND).get("kid") if len(text) <= LIMIT else None
    except Malformed:
        return False
    return isinstance(kid, str) and keys.public_key(kid) is None and keys.may_come(kid)


def organisations(claims: dict[str, Any], public_url: str) -> frozenset[str]:
    """The organisations in the token's audience."""
    prefix, audience = f"{public_url}/data/", claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return frozenset(one[len(prefix) :] for one in listed if isinstance(one, str) and one.startswith(prefix))


def is_for_userinfo(claims: dict[str, Any], public_url: str) -> bool:
    """Whether what the gateway itself knows of the person may be asked for with it."""
    audience = claims.get("aud")
    return f"{public_url}{USERINFO}" in (audience if isinstance(audience, list) else [audience])


def acting(claims: dict[str, Any]) -> tuple[str, str]:
    """(whose grant it is, who uses it) of a token that `read` has read. The first is a client; the second "" for a
    token that was not exchanged, else "app " and a client, or "person " and the client's `sub` of a representative."""
    grantee = claims.get(GRANTEE)
    actor = claims.get("act", {}).get("sub", "")
    if not actor:
        return claims["client_id"], ""
    return (grantee, f"app {actor}") if grantee else (claims["client_id"], f"person {actor}")


def _check_exchanged(claims: dict[str, Any]) -> None:
    """Of an exchanged token: one actor, and no chain of them (RFC 8693 §4.1). None of it stands in any other token."""
    if "act" not in claims:
        if GRANTEE in claims:
            raise Malformed("of another kind")
        return
    actor, grantee = claims["act"], claims.get(GRANTEE)
    if not isinstance(actor, dict) or actor.keys() != {"sub"} or not _is_text(actor["sub"]):
        raise Malformed("actor")
    if grantee is not None and (not _is_text(grantee) or actor["sub"] != claims["client_id"]):
        raise Malformed("whose grant")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _check_binding(confirmation: object) -> None:
    """RFC 9449 §6.1, RFC 8705 §3.1. A token bound in any other way is refused: that cannot be checked here."""
    if confirmation is None:
        return
    if not isinstance(confirmation, dict) or confirmation.keys() not in ({"jkt"}, {"x5t#S256"}):
        raise Malformed("cnf")
    if not all(isinstance(value, str) and value for value in confirmation.values()):
        raise Malformed("cnf")
