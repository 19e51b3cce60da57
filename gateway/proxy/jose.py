"""Compact JWS by ES256, read strictly: one spelling, one meaning (RFC 7515, RFC 8725; negative cases H).

The hot path verifies with `cryptography` alone: half the cost of a general library.
"""

import binascii
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])  # by length modulo 4: those that leave no bit over
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_ES256 = ec.ECDSA(hashes.SHA256())
_BRACKETS_LIMIT = 2000  # of one header or set of claims: far below what makes a parser recurse too deep


class Malformed(Exception):
    """Not a compact JWS of the strict kind, or not signed by the key."""


def decoded(part: str) -> bytes:
    """base64url without padding in its one canonical form (RFC 7515 §2). Raises Malformed.

    What a decoder would forgive is looked for before it: other characters, padding, spare bits.
    """
    text = part.encode("utf-8", "replace")
    if not text or text.translate(None, _ALPHABET) or text[-1:] not in _LAST[len(text) % 4]:
        raise Malformed("base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==")


def encoded(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def json_object(part: str) -> dict[str, Any]:
    """The JSON object in one part of a JWS, no member twice. Raises Malformed."""
    text = decoded(part)
    if text.count(b"[") + text.count(b"{") > _BRACKETS_LIMIT:
        raise Malformed("depth")
    try:
        found = _JSON.decode(text.decode())
    except (ValueError, RecursionError):
        raise Malformed("JSON") from None
    if not isinstance(found, dict):
        raise Malformed("not an object")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a member twice")
    return found


def _no_constant(_: str) -> None:
    raise Malformed("NaN or Infinity")


_JSON = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)  # made once: half of its cost


def split(token: str) -> tuple[str, str, str]:
    header, _, rest = token.partition(".")
    claims, _, signature = rest.partition(".")
    if not (header and claims and signature) or "." in signature:
        raise Malformed("three parts")
    return header, claims, signature


def verify(key: ec.EllipticCurvePublicKey, message: bytes, signature: str) -> None:
    """RFC 7518 §3.4: the signature is 64 bytes, r ‖ s. Raises Malformed."""
    raw = decoded(signature)
    if len(raw) != 64:
        raise Malformed("signature")
    halves = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        key.verify(encode_dss_signature(*halves), message, _ES256)
    except InvalidSignature:
        raise Malformed("signature") from None


def whole_number(claims: dict[str, Any], name: str) -> int:
    """A NumericDate that is a plain whole number. Raises Malformed."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 2**53:
        raise Malformed(name)
    return value


def p256_key(jwk: object) -> tuple[ec.EllipticCurvePublicKey, str]:
    """A public P-256 key and its RFC 7638 thumbprint. Raises Malformed, also for a key with a private part."""
    if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
        raise Malformed("key")
    x, y = jwk.get("x"), jwk.get("y")
    if not isinstance(x, str) or not isinstance(y, str) or len(x) != 43 or len(y) != 43:
        raise Malformed("key")
    numbers = int.from_bytes(decoded(x), "big"), int.from_bytes(decoded(y), "big")
    try:
        key = ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    except ValueError:
        raise Malformed("not on the curve") from None
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    return key, encoded(hashlib.sha256(canonical.encode()).digest())
