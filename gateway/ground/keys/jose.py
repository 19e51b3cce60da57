"""Compact JWS and public keys, read strictly: only the canonical spelling is accepted (RFC 7515, RFC 7517, RFC 8725).

Every token the gateway receives is read here: access tokens, DPoP proofs, clients' assertions.
`jku`, `x5u` and `x5c` are never looked at: keys come from registration, from our own ring, or, for a DPoP proof,
from its header. The hot path verifies with `cryptography` alone: half the cost of a general library.
"""

import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.ground.keys import strict
from gateway.ground.keys.strict import Malformed

__all__ = [
    "TokenKind",
    "Malformed",
    "Signed",
    "decoded",
    "encoded",
    "header_of",
    "is_of_small_order",
    "json_object",
    "may_verify",
    "p256_key",
]
__all__ += ["numeric_date", "read", "split", "thumbprint", "verified", "verify", "verify_by", "whole_number"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])  # valid last characters by length modulo 4: spare bits are 0
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_ES256 = ec.ECDSA(hashes.SHA256())
_PS256 = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)  # RFC 7518 §3.5
# RS256 is read only where a kind of token names it: every provider of OpenID Connect has it, and some nothing else.
_RSA: Mapping[str, padding.AsymmetricPadding] = {"PS256": _PS256, "RS256": padding.PKCS1v15()}
_P25519 = 2**255 - 19
_D = -121665 * pow(121666, -1, _P25519) % _P25519  # of the curve of Ed25519 (RFC 8032 §5.1)
_DEPTH = 20  # deepest nesting of a header or of claims
_KEY = {
    "ES256": ("EC", "P-256"),
    "PS256": ("RSA", None),
    "RS256": ("RSA", None),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_SAME = {"Ed25519": "EdDSA"}  # RFC 9864: two names of one algorithm
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")  # members of private or symmetric keys
# Header members not supported: extensions that must be understood, detached or compressed payloads, nested tokens.
_NOT_UNDERSTOOD = frozenset(("crit", "b64", "zip", "cty", "enc"))


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What the header of one kind of token must say, so that no other kind is taken for it (RFC 8725 §3.11)."""

    types: tuple[str, ...]  # of `typ`, in lower case, without "application/"
    algorithms: tuple[str, ...]
    untyped: bool = False  # whether `typ` may be absent


@dataclass(frozen=True, slots=True)
class Signed:
    """A parsed token. Do not trust `unverified` (its claims) before `verified` has returned True."""

    header: Mapping[str, Any]
    unverified: Mapping[str, Any]
    message: bytes
    signature: bytes


def read(token: str, limit: int, kind: TokenKind) -> Signed:
    """Parse a token of this kind, of at most `limit` characters, without checking the signature. Raises Malformed."""
    if len(token) > limit:
        raise Malformed("length")
    head, body, signature = split(token)
    return Signed(header_of(head, kind), json_object(body), f"{head}.{body}".encode(), decoded(signature))


def header_of(part: str, kind: TokenKind) -> dict[str, Any]:
    """The header, if it fits this kind. Raises Malformed otherwise."""
    header = json_object(part)
    typ, kid = header.get("typ"), header.get("kid")
    if typ is None:
        is_of_kind = kind.untyped and "typ" not in header
    else:  # a media type: upper or lower case, with or without "application/" (RFC 7515 §4.1.9)
        is_of_kind = isinstance(typ, str) and typ.lower().removeprefix("application/") in kind.types
    if not is_of_kind or header.get("alg") not in kind.algorithms or not _NOT_UNDERSTOOD.isdisjoint(header):
        raise Malformed("header")
    if kid is not None and not isinstance(kid, str):
        raise Malformed("kid")
    return header


def decoded(part: str) -> bytes:
    """base64url without padding in its one canonical form (RFC 7515 §2). Raises Malformed.

    What the decoder would accept is refused before: other characters, padding, spare bits that are set.
    """
    text = part.encode("utf-8", "replace")
    if not text or text.translate(None, _ALPHABET) or text[-1:] not in _LAST[len(text) % 4]:
        raise Malformed("base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==")


def encoded(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def json_object(part: str) -> dict[str, Any]:
    """The JSON object in one part of a JWS, read strictly. Raises Malformed."""
    found = strict.loads(decoded(part), depth=_DEPTH)
    if not isinstance(found, dict):
        raise Malformed("not an object")
    return found


def split(token: str) -> tuple[str, str, str]:
    header, _, rest = token.partition(".")
    claims, _, signature = rest.partition(".")
    if not (header and claims and signature) or "." in signature:
        raise Malformed("three parts")
    return header, claims, signature


def verify(key: ec.EllipticCurvePublicKey, message: bytes, signature: str) -> None:
    """RFC 7518 §3.4: the signature is 64 bytes, r ‖ s. Raises Malformed."""
    _verify_es256(key, message, decoded(signature))


def _verify_es256(key: ec.EllipticCurvePublicKey, message: bytes, raw: bytes) -> None:
    if len(raw) != 64:
        raise Malformed("signature")
    halves = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        key.verify(encode_dss_signature(*halves), message, _ES256)
    except InvalidSignature:
        raise Malformed("signature") from None


def verify_by(jwk: Mapping[str, Any], algorithm: str, message: bytes, signature: str) -> None:
    """The same for a key of any kind and an algorithm that it is for (`may_verify`). Raises Malformed."""
    if not _made(message, decoded(signature), jwk, algorithm):
        raise Malformed("signature")


def whole_number(claims: Mapping[str, Any], name: str) -> int:
    """A time in one of our own tokens: whole seconds since 1970. Raises Malformed."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 2**53:
        raise Malformed(name)
    return value


def numeric_date(claims: Mapping[str, Any], name: str) -> float:
    """Seconds since 1970, which may have a fraction (RFC 7519 §2). Raises Malformed."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise Malformed(name)
    return float(value)


def may_verify(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Whether the key may be used to verify signatures of this algorithm (RFC 7517 §4.1 to §4.4).

    `use`, `key_ops` and `alg` may be absent but must not say otherwise. A key with private members may not be used.
    """
    named, uses = jwk.get("alg", algorithm), jwk.get("key_ops", ["verify"])
    return (
        (jwk.get("kty"), jwk.get("crv")) == _KEY[algorithm]
        and isinstance(named, str)
        and _SAME.get(named, named) == _SAME.get(algorithm, algorithm)
        and jwk.get("use", "sig") == "sig"
        and isinstance(uses, list)
        and uses.count("verify") == 1
        and not any(member in jwk for member in PRIVATE)
    )


def verified(token: Signed, keys: Iterable[object]) -> bool:
    """Whether the token's signature is by one of those `keys` that are allowed for its algorithm. What is no key is
    passed over."""
    algorithm, kid = token.header["alg"], token.header.get("kid")
    fitting = [key for key in keys if isinstance(key, Mapping) and (kid is None or key.get("kid") == kid)]
    return any(may_verify(key, algorithm) and _made(token.message, token.signature, key, algorithm) for key in fitting)


def _made(message: bytes, signature: bytes, jwk: Mapping[str, Any], algorithm: str) -> bool:
    try:
        if algorithm == "ES256":
            _verify_es256(p256_key(jwk)[0], message, signature)
        elif algorithm in _RSA:
            modulus, exponent = (int.from_bytes(decoded(jwk[name]), "big") for name in ("n", "e"))
            key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            key.verify(signature, message, _RSA[algorithm], hashes.SHA256())
        else:
            _verify_ed25519(decoded(jwk["x"]), message, signature)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _verify_ed25519(key: bytes, message: bytes, raw: bytes) -> None:
    """RFC 8032 §5.1.7, and stricter: under a key of small order one signature fits all messages, and none that is made
    by the rules has a first half of small order or a second of 0. Raises InvalidSignature, ValueError."""
    if is_of_small_order(key) or is_of_small_order(raw[:32]) or not any(raw[32:]):
        raise InvalidSignature
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(raw, message)


def is_of_small_order(encoded: bytes) -> bool:
    """Whether this is y of one of the eight points of small order (8 times the point is the neutral element), or not a
    reduced number (RFC 8032 §5.1.3)."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= _P25519 or y in (0, 1, _P25519 - 1):
        return True
    # order 8: y² = (1 ± sqrt(1 + d)) / -d on -x² + y² = 1 + dx²y²; then d·y⁴ + 2·y² - 1 = 0
    return (_D * y**4 + 2 * y * y - 1) % _P25519 == 0


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638: SHA-256 of the members that make the key, in base64url."""
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    canonical = json.dumps({name: jwk[name] for name in members}, sort_keys=True, separators=(",", ":"))
    return encoded(hashlib.sha256(canonical.encode()).digest())


def p256_key(jwk: object) -> tuple[ec.EllipticCurvePublicKey, str]:
    """A public P-256 key for ES256 and its RFC 7638 thumbprint. Raises Malformed, also if there is a private part."""
    if not isinstance(jwk, dict) or not may_verify(jwk, "ES256"):
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
