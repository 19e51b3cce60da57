"""Compact JWS, read strictly and verified with given keys only (RFC 7515, RFC 8725).

Never looks at `jku`, `jwk`, `x5u` or `x5c`: keys come from registration or from our own ring.
"""

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

from gateway.authorization import strict

_PART = re.compile(r"[A-Za-z0-9_-]+")
_KIND = {"ES256": "EC", "PS256": "RSA", "EdDSA": "OKP", "Ed25519": "OKP"}
_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_CURVE = {"EC": "P-256", "OKP": "Ed25519", "RSA": None}
_MODEL = {name: JWSRegistry.algorithms["Ed25519" if name == "EdDSA" else name] for name in _KIND}


@dataclass(frozen=True, slots=True)
class Signed:
    """A token as read. Its claims are `unverified` until `verified` has said so."""

    header: Mapping[str, Any]
    unverified: Mapping[str, Any]
    message: bytes
    signature: bytes


def read(token: str, limit: int) -> Signed | None:
    """None for anything but one well-formed JWS of a JSON object."""
    parts = token.split(".")
    if len(token) > limit or len(parts) != 3:
        return None
    decoded = [_decoded(part) for part in parts]
    try:
        header, claims = (strict.loads((part or b"").decode(), depth=20) for part in decoded[:2])
    except (strict.Malformed, UnicodeDecodeError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or not decoded[2]:
        return None
    # an extension we would have to understand, a detached or compressed payload, a token in a token
    if header.keys() & {"crit", "b64", "zip", "cty", "enc"}:
        return None
    return Signed(header, claims, f"{parts[0]}.{parts[1]}".encode(), decoded[2])


def _decoded(part: str) -> bytes | None:
    """base64url without padding, in its one canonical form (RFC 7515 §2; negative case H14)."""
    if not _PART.fullmatch(part):
        return None
    try:
        value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return None
    return value if base64.urlsafe_b64encode(value).rstrip(b"=").decode() == part else None


def verified(token: Signed, keys: Iterable[Mapping[str, Any]], algorithms: Collection[str]) -> bool:
    """Whether one of `keys`, fit for the token's algorithm, made its signature."""
    algorithm, kid = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in _KIND:
        return False
    fitting = [key for key in keys if _fits(key, algorithm)]
    if kid is not None:
        fitting = [key for key in fitting if key.get("kid") == kid]
    return any(_verifies(token, key, algorithm) for key in fitting)


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kind = _KIND[algorithm]
    named = key.get("alg", algorithm)
    same = named == algorithm or {named, algorithm} <= {"EdDSA", "Ed25519"}
    return key.get("kty") == kind and key.get("crv") == _CURVE[kind] and same


def _verifies(token: Signed, key: Mapping[str, Any], algorithm: str) -> bool:
    kind = _KIND[algorithm]
    try:
        imported = import_key({"kty": kind, **{member: key[member] for member in _MEMBERS[kind]}})
        return bool(_MODEL[algorithm].verify(token.message, token.signature, imported))
    except (JoseError, ValueError, KeyError):
        return False


def is_media_type(header: Mapping[str, Any], *allowed: str) -> bool:
    """`typ`, compared as a media type: in any case, with or without "application/" (RFC 7515 §4.1.9)."""
    found = header.get("typ")
    return isinstance(found, str) and found.lower().removeprefix("application/") in allowed


def instant(claims: Mapping[str, Any], name: str) -> int | None:
    """A NumericDate that is a plain whole number (negative case H16); None when absent or anything else."""
    value = claims.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else None
