"""Access tokens of a client itself (RFC 6749 §4.4): no person and no consent stands behind them.

They are for this server and open nothing but what their scopes say (`rules.CLIENT_SCOPES`). Nothing of them is stored:
one that the client gives back is spent until it would have expired.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from gateway.authorization import rules
from gateway.authorization.binding import Binding
from gateway.authorization.rules import Refused
from gateway.authorization.spending import first_use, is_spent
from gateway.ground.keys import KeyRing, access, jose
from gateway.ground.store import Row
from gateway.settings import Settings

GRANT_TYPE = "client_credentials"


def scope(asked: str) -> str:
    """The scopes asked for. At least one has to be named. Raises Refused."""
    named = list(dict.fromkeys(asked.split()))
    if not named or set(named) - rules.CLIENT_SCOPES.keys():
        raise Refused("invalid_scope", f"Name one or more of {', '.join(rules.CLIENT_SCOPES)}.")
    return " ".join(named)


def check_target(asked: str, public_url: str) -> None:
    """Such a token is for this server alone (RFC 8707 §2)."""
    if set(asked.split()) - {public_url}:
        raise Refused("invalid_target", "A client's own token is for this server.")


def response(
    keys: KeyRing, settings: Settings, client_id: str, scope: str, binding: Binding, jti: str, now: datetime
) -> dict[str, Any]:
    """The token response: without a refresh token (RFC 6749 §4.4.3)."""
    issued = int(now.timestamp())
    claims = {
        "iss": settings.public_url,
        "sub": client_id,
        "aud": settings.public_url,
        "client_id": client_id,
        "iat": issued,
        "exp": issued + settings.token_seconds,
        "jti": jti,
        "scope": scope,
        **({"cnf": binding.confirmation} if binding.confirmation else {}),
    }
    return {
        "access_token": keys.sign(claims, typ="at+jwt"),
        "token_type": binding.token_type,
        "expires_in": settings.token_seconds,
        "scope": scope,
    }


def read(token: str, keys: KeyRing, public_url: str, now: datetime) -> Mapping[str, Any] | None:
    """The claims of such a token, even if it has expired. None: any other token."""
    try:
        return access.read_client(token, keys, public_url, now.timestamp())
    except jose.Malformed:
        return None


def lives(row: Row, claims: Mapping[str, Any], now: datetime) -> bool:
    """Whether it has not expired and was not given back."""
    return claims["exp"] > now.timestamp() and not is_spent(row, _what(claims), now)


def end(session: Session, claims: Mapping[str, Any], now: datetime) -> None:
    """It is worth nothing from now on (RFC 7009 §2)."""
    until = datetime.fromtimestamp(claims["exp"], UTC)
    if until > now:
        first_use(session, _what(claims), until, now)


def introspect(row: Row, claims: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """RFC 7662 §2.2. None: it is not valid."""
    if not lives(row, claims, now):
        return None
    bound = claims.get("cnf")
    kept = ("iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope")
    return {
        "active": True,
        "token_type": "DPoP" if "jkt" in (bound or {}) else "Bearer",
        **{name: claims[name] for name in kept},
        **({"cnf": dict(bound)} if bound else {}),
    }


def _what(claims: Mapping[str, Any]) -> str:
    return f"client token\n{claims['jti']}"
