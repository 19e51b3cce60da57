"""Others' public keys (RFC 7517), checked mathematically before they are used.

Only public keys of the kinds whose signatures are accepted: P-256, RSA of 2048 bits
and more, Ed25519 (RFC 8725 §3.2).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from gateway.ground.keys import jose

ALGORITHMS = {"EC": ("ES256",), "RSA": ("PS256", "RS256"), "OKP": ("EdDSA", "Ed25519")}
STRONG = ("ES256", "PS256", "EdDSA", "Ed25519")  # Ed25519 is RFC 9864's name of EdDSA, which many still write
MAX_KEYS = 10
_LONGEST = 2000  # characters of one member

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1  # the field of P-256 (FIPS 186-5)
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def faults(jwks: object, signs: Collection[str] = STRONG) -> Iterator[str]:
    """Everything that is wrong with a set of keys for these algorithms. No text repeats a key."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not keys or len(keys) > MAX_KEYS:
        yield f"write {{ keys = [ … ] }} with 1 to {MAX_KEYS} public keys"
        return
    for position, key in enumerate(keys):
        wrong = fault(key, signs) if isinstance(key, dict) else "is not a key"
        if wrong:
            yield f"keys[{position}]: {wrong}"
    kids = [key.get("kid") for key in keys if isinstance(key, dict)]
    if len(keys) > 1 and (None in kids or len(set(map(str, kids))) < len(kids)):
        yield "give every key a kid of its own"


def fault(key: Mapping[str, Any], signs: Collection[str] = STRONG) -> str | None:
    """What is wrong with one public key for signatures; None: nothing. No text repeats it."""
    if any(member in key for member in jose.PRIVATE):
        return "holds a private or symmetric key; write the public part only"
    kid = key.get("kid", "x")
    if not isinstance(kid, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", kid):
        return "kid: write 1 to 200 visible ASCII characters"
    kind = key.get("kty")
    if not isinstance(kind, str) or kind not in ALGORITHMS:
        return "kty: one of EC (P-256), RSA, OKP (Ed25519)"
    fitting = [name for name in ALGORITHMS[kind] if name in signs]
    if key.get("alg", fitting[0]) not in fitting:
        return f"alg: for {kind} write {' or '.join(fitting)}"
    if key.get("use", "sig") != "sig":
        return "use: only keys for signatures (sig) belong here"
    uses = key.get("key_ops", ["verify"])
    if not isinstance(uses, list) or uses.count("verify") != 1:
        return 'key_ops: leave it out, or write ["verify"]'
    return {"EC": _ec, "RSA": _rsa, "OKP": _okp}[kind](key)


def _number(key: Mapping[str, Any], member: str, size: int | None = None) -> bytes | None:
    text = key.get(member)
    try:
        value = jose.decoded(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    except jose.Malformed:
        return None
    return value if value is not None and size in (None, len(value)) else None


def _ec(key: Mapping[str, Any]) -> str | None:
    x_bytes, y_bytes = _number(key, "x", 32), _number(key, "y", 32)
    if key.get("crv") != "P-256" or x_bytes is None or y_bytes is None:
        return "an EC key is on P-256, with x and y of 32 bytes"
    x, y = int.from_bytes(x_bytes, "big"), int.from_bytes(y_bytes, "big")
    on_curve = x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0
    return None if on_curve else "x and y are not a point of P-256"


def _rsa(key: Mapping[str, Any]) -> str | None:
    modulus, exponent = _number(key, "n"), _number(key, "e")
    if modulus is None or exponent is None:
        return "an RSA key has n and e"
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if not 2048 <= n.bit_length() <= 8192 or n % 2 == 0:
        return "n: use 2048 to 8192 bits"
    return None if e % 2 and 65537 <= e < 2**32 else "e: use 65537"


def _okp(key: Mapping[str, Any]) -> str | None:
    x = _number(key, "x", 32)
    if key.get("crv") != "Ed25519" or x is None:
        return "an OKP key is Ed25519, with x of 32 bytes"
    return "x is a point of small order" if jose.is_of_small_order(x) else None
