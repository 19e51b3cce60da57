"""Software statements (RFC 7591 §2.3): what an issuer whom the operator trusts says of a piece of software, signed.

Who is trusted stands in a file: {"https://issuer.example": {"jwks": {"keys": […]}, "software": ["id", …]}}.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.errors import Unavailable
from gateway.ground.keys import jose, keysets, strict

LIMIT = 16 * 1024  # characters
CLOCK = 60  # seconds that its issuer's clock may be apart
_KIND = jose.TokenKind(types=("jwt",), algorithms=(*keysets.STRONG, "RS256"), untyped=True)
_NOT_METADATA = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")


class InvalidStatement(Exception):
    """It is not signed by somebody trusted, or not valid now."""


class UnapprovedStatement(Exception):
    """It is good, and this software may not register here."""


def metadata(statement: object, trusted: Mapping[str, Any], audience: str, now: datetime) -> dict[str, Any]:
    """The metadata in it, which wins over what stands beside it. Raises InvalidStatement, UnapprovedStatement."""
    try:
        token = jose.read(statement if isinstance(statement, str) else "", LIMIT, _KIND)
        claims = token.unverified
        ends = jose.numeric_date(claims, "exp") if "exp" in claims else None
        begins = [jose.numeric_date(claims, name) for name in ("nbf", "iat") if name in claims]
    except jose.Malformed:
        raise InvalidStatement from None
    issuer = claims.get("iss")
    known = trusted.get(issuer) if isinstance(issuer, str) else None
    if known is None or not jose.verified(token, known["jwks"]["keys"]):
        raise InvalidStatement
    late = ends is not None and ends <= now.timestamp() - CLOCK
    if late or any(at > now.timestamp() + CLOCK for at in begins) or not _for_us(claims.get("aud"), audience):
        raise InvalidStatement
    if "software" in known and claims.get("software_id") not in known["software"]:
        raise UnapprovedStatement
    return {name: value for name, value in claims.items() if name not in _NOT_METADATA}


def _for_us(named: object, us: str) -> bool:
    return named is None or named == us or (isinstance(named, list) and us in named)


def trusted(path: Path | None) -> dict[str, Any]:
    """The issuers in the operator's file. Raises Unavailable, whose detail says what is wrong with it."""
    if path is None:
        return {}
    try:
        found = strict.loads(path.read_bytes(), depth=10)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from None
    except strict.Malformed as error:
        raise Unavailable(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise Unavailable(f"{path}: write an object: issuer to what is known of it")
    for issuer, known in found.items():
        faults = list(keysets.faults(known.get("jwks"), _KIND.algorithms)) if isinstance(known, dict) else ["no object"]
        software = known.get("software", []) if isinstance(known, dict) else []
        if not isinstance(software, list) or not all(isinstance(one, str) for one in software):
            faults.append("software: write a list of software_id")
        if faults:
            raise Unavailable(f"{path}: {issuer}: {faults[0]}")
    return found
