"""What is told of an access token to data (RFC 7662 §2.2): what it is worth now, and not when it was made. From two
rows, so that the door can do it as well as who may not wait (plain_calls.py)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.authorization.tokens import details_at
from gateway.consent import lesser
from gateway.consent.running import Running, running
from gateway.ground.keys import access
from gateway.ground.store import Row

_FAMILY = "SELECT consent_id, client_id, version FROM tokenfamily WHERE id = ? AND ended_at IS NULL"
_TOLD = ("iss", "sub", "aud", "client_id", "iat", "exp", "jti", "auth_time", "acr", "scope", "grant_id")


def standing(row: Row, claims: Mapping[str, Any], now: datetime) -> Running | None:
    """What a token with these claims stands on; None: it is not valid. Where that is the same, what is told is."""
    family = row(_FAMILY, (claims["fam"],))
    if family is None or claims["exp"] <= now.timestamp() or access.acting(dict(claims))[0] != family[1]:
        return None
    consent = running(row, family[0], now)
    return consent if consent is not None and family[2] >= consent.tokens_from else None


def told(consent: Running, claims: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """What is told of it."""
    terms, said, bound = json.loads(consent.terms), claims.get("authorization_details"), claims.get("cnf") or {}
    if said is not None:
        terms = lesser.lessened(terms, lesser.read(said, public_url))
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    return {
        "active": True,
        "token_type": "DPoP" if "jkt" in bound else "Bearer",
        **{name: claims[name] for name in _TOLD if name in claims},
        **({"cnf": dict(bound)} if bound else {}),
        **({"act": dict(claims["act"])} if "act" in claims else {}),
        "authorization_details": details_at(terms, audience, public_url),
    }
