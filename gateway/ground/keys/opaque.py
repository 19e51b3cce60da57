"""Opaque secrets: made here, stored only as SHA-256, compared in constant time.

Only this file and `KeyRing` use the random source.
"""

import hashlib
import hmac
import secrets


def fresh(size: int = 32) -> str:
    """A base64url secret of `size` random bytes (32: 43 characters, 256 bit)."""
    return secrets.token_urlsafe(size)


def fresh_bytes(size: int = 32) -> bytes:
    return secrets.token_bytes(size)


def letters(length: int, alphabet: str) -> str:
    """A code for people to type, of `length` letters."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def hashed(secret: str) -> str:
    """Hex SHA-256. A plain hash is enough, because secrets of 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(left: str | bytes, right: str | bytes) -> bool:
    """Constant-time comparison."""
    as_bytes = [value.encode() if isinstance(value, str) else value for value in (left, right)]
    return hmac.compare_digest(*as_bytes)
