"""Signed authorization requests (JAR, RFC 9101; FAPI 2.0 Message Signing §5.3.1).

1. one strict JWS of this kind, signed by a key of the client     4. not expired, not old, not from the future
2. made by this client                                            5. no request inside of the request
3. for us

All parameters come from the object; those beside it count for nothing, but for how the client proves who it is.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.apps.registration import Registration
from gateway.authorization import rules
from gateway.authorization.rules import Refused
from gateway.ground.keys import jose
from gateway.ground.keys.strict import is_text

TYPE = "oauth-authz-req+jwt"
_MANY = ("resource",)  # that may be given several times, here as a list
_NUMBERS = ("max_age", "requested_expiry")
_JSON = ("authorization_details", "claims")  # texts of JSON in a form, here the JSON itself


def parameters(text: str, client: Registration, issuer: str, names: Collection[str], now: float) -> dict[str, str]:
    """The parameters of these names in the object, each as it would stand in a form. `now`: epoch seconds. Raises
    Refused."""
    # The general "JWT" is what clients of OpenID Connect write. FAPI tells its objects from other signed ones by it.
    claims = _checked(text, client, client.request_alg, issuer, now, typed=client.profile.must_push)
    return _named(claims, names)


@dataclass(frozen=True, slots=True)
class Once:
    """By what a request is known that may be used once."""

    jti: str
    until: datetime


def backchannel(
    text: str, client: Registration, issuer: str, names: Collection[str], now: float
) -> tuple[dict[str, str], Once]:
    """The same of a backchannel request, which needs every claim that bounds it (CIBA Core §7.1.1). Raises Refused."""
    claims = _checked(text, client, client.backchannel_alg, issuer, now, typed=False)
    jti = claims.get("jti")
    if "iat" not in claims or not isinstance(jti, str) or not jti:
        raise _wrong("It needs iss, aud, exp, iat, nbf and jti.")
    ends = jose.numeric_date(claims, "exp") + rules.CLOCK_LATE
    return _named(claims, names), Once(jti, datetime.fromtimestamp(ends, UTC))


def unsigned(text: str) -> dict[str, str] | None:
    """The `state` of an object that says of itself that nobody has signed it (alg "none"): all of it that is made use
    of, for the answer to it, as anybody may send one beside it. None: it is not such an object."""
    header, _, rest = text.partition(".")
    try:
        if len(text) > rules.OBJECT_LIMIT or jose.json_object(header).get("alg") != "none":
            return None
        state = jose.json_object(rest.partition(".")[0]).get("state")
    except jose.Malformed:
        return None
    return {"state": state} if isinstance(state, str) else {}


def _checked(
    text: str, client: Registration, algorithm: str, issuer: str, now: float, *, typed: bool
) -> Mapping[str, Any]:
    claims = _verified(text, client, algorithm, typed=typed)  # 1
    if claims.get("iss") != client.client_id or claims.get("client_id", client.client_id) != client.client_id:  # 2
        raise _wrong("It is not this client's.")
    if claims.get("sub") == client.client_id:  # it could be shown as a client assertion (RFC 9101 §10.8)
        raise _wrong("Leave out sub.")
    audience = claims.get("aud")
    if audience != issuer and not (isinstance(audience, list) and issuer in audience):  # 3
        raise _wrong("aud must be the issuer.")
    _check_times(claims, now)  # 4
    if "request" in claims or "request_uri" in claims:  # 5
        raise _wrong("No request inside of a request.")
    return claims


def _named(claims: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    return {name: _text(name, value) for name, value in claims.items() if name in names}


def _verified(text: str, client: Registration, algorithm: str, *, typed: bool) -> Mapping[str, Any]:
    algorithms = (algorithm,) if algorithm else client.profile.signs
    kind = jose.TokenKind(types=(TYPE, "jwt"), algorithms=algorithms, untyped=True)
    try:
        token = jose.read(text, rules.OBJECT_LIMIT, kind)
    except jose.Malformed:
        raise _wrong("It is not a signed object of the form and algorithm expected.") from None
    typ = str(token.header.get("typ", TYPE)).lower().removeprefix("application/")
    if typ != TYPE and typed:
        raise _wrong(f"typ must be {TYPE}.")
    if not jose.verified(token, client.jwks["keys"]):
        raise _wrong("No registered key of this client has signed it.")
    return token.unverified


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    try:
        begins, ends = jose.numeric_date(claims, "nbf"), jose.numeric_date(claims, "exp")
        made = jose.numeric_date(claims, "iat") if "iat" in claims else begins
    except jose.Malformed:
        raise _wrong("nbf and exp are needed, in seconds since 1970.") from None
    if ends <= now - rules.CLOCK_LATE:
        raise _wrong("It has expired.")
    if max(begins, made) > now + rules.CLOCK_EARLY:
        raise _wrong("It is not valid yet.")
    if begins < now - rules.OBJECT_SECONDS or ends > begins + rules.OBJECT_SECONDS:
        raise _wrong("nbf and exp lie more than an hour back or apart.")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif name in _MANY and isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = " ".join(value)
    elif name in _NUMBERS and type(value) is int or name in _JSON and isinstance(value, list | dict):
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    else:
        raise _wrong("A parameter is of the wrong type.")
    if not is_text(text):
        raise _wrong("A parameter is no text.")
    return text


def _wrong(why: str) -> Refused:
    return Refused("invalid_request_object", why)
