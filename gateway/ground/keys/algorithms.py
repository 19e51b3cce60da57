"""What the gateway signs tokens with: four algorithms, and a key is of exactly one of them (RFC 8725 §3.1).

PS256 and RS256 could share an RSA key by their mathematics. They do not here: RFC 8725 §3.1 has each key used with
one algorithm, RFC 7517 §4.4 has one place in a key to say which, and PSS is not to be weakened by what is done with
the older padding. A client that knows a `kid` therefore knows the algorithm, whatever a token's header says.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.ground.keys.jose import encoded

Private: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

DEFAULT = "ES256"
RSA_BITS = 3072  # as strong as P-256 (NIST SP 800-57, part 1, table 2)
RSA_LEAST = 2048  # RFC 7518 §3.3 and §3.5


def _make_rsa() -> Private:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _is_rsa(key: object) -> bool:
    return isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_LEAST


def _number(value: int, size: int = 0) -> str:
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _p256_members(key: Any) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": _number(numbers.x, 32), "y": _number(numbers.y, 32)}


def _rsa_members(key: Any) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}


def _ed25519_members(key: Any) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": encoded(key.public_key().public_bytes_raw())}


@dataclass(frozen=True, slots=True)
class SigningAlgorithm:
    make: Callable[[], Private]
    fits: Callable[[object], bool]  # whether this is a private key for it
    members: Callable[[Any], dict[str, str]]  # the public ones that RFC 7638 §3.2 requires, in their order


ALGORITHMS: Mapping[str, SigningAlgorithm] = {
    DEFAULT: SigningAlgorithm(lambda: ec.generate_private_key(ec.SECP256R1()), _is_p256, _p256_members),
    "PS256": SigningAlgorithm(_make_rsa, _is_rsa, _rsa_members),
    "RS256": SigningAlgorithm(_make_rsa, _is_rsa, _rsa_members),
    "EdDSA": SigningAlgorithm(
        ed25519.Ed25519PrivateKey.generate, lambda key: isinstance(key, ed25519.Ed25519PrivateKey), _ed25519_members
    ),
}


@dataclass(frozen=True)
class SigningKey:
    """A private key of one of the algorithms. `kid` is its RFC 7638 thumbprint."""

    private: Any = field(repr=False)
    algorithm: str = DEFAULT

    @classmethod
    def made(cls, algorithm: str = DEFAULT) -> "SigningKey":
        return cls(ALGORITHMS[algorithm].make(), algorithm)

    @classmethod
    def unpacked(cls, packed: bytes, algorithm: str) -> "SigningKey":
        """Raises ValueError, for whatever is no private key of this algorithm."""
        try:
            private = serialization.load_der_private_key(packed, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("not a private key") from None  # the library's message could quote it
        if not ALGORITHMS[algorithm].fits(private):
            raise ValueError("not a key of its algorithm")
        return cls(private, algorithm)

    def packed(self) -> bytes:
        """PKCS #8, DER, in the clear: to be sealed."""
        packed: bytes = self.private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return packed

    @cached_property
    def public(self) -> Any:
        return self.private.public_key()

    @cached_property
    def jwk(self) -> dict[str, str]:
        members = ALGORITHMS[self.algorithm].members(self.private)
        thumbprint = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
        return {**members, "kid": encoded(thumbprint), "alg": self.algorithm, "use": "sig"}

    @property
    def kid(self) -> str:
        return self.jwk["kid"]
