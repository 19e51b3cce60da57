"""The key ring: the private keys of one gateway, from its keys folder."""

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import jwt
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Unavailable
from gateway.ground.keys.jose import encoded
from gateway.ground.keys.opaque import fresh_bytes

SECRET_BYTES = 32
_NONCE = 12


@dataclass(frozen=True)
class SigningKey:
    """One ES256 key. `kid` is its RFC 7638 thumbprint."""

    private: ec.EllipticCurvePrivateKey

    @cached_property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        public = {
            "crv": "P-256",
            "kty": "EC",
            "x": encoded(numbers.x.to_bytes(32, "big")),
            "y": encoded(numbers.y.to_bytes(32, "big")),
        }
        thumbprint = hashlib.sha256(json.dumps(public, sort_keys=True, separators=(",", ":")).encode()).digest()
        return {**public, "kid": encoded(thumbprint), "alg": "ES256", "use": "sig"}

    @property
    def kid(self) -> str:
        return self.jwk["kid"]


class KeyRing:
    """The keys, read once at start. With `create` missing keys are made; otherwise a missing key is an error."""

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        if create:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_missing()
        paths = sorted(folder.glob("token-*.pem"), reverse=True)
        self.signing = [SigningKey(_read(path, _ec)) for path in paths]
        self.log: ed25519.Ed25519PrivateKey = _read(folder / "log.pem", _ed)
        kek, self._root = (_read(folder / name, _secret) for name in ("kek.hex", "root.hex"))
        self._kek = AESGCM(kek)
        self.checks = {
            **{path.name: key.kid for path, key in zip(paths, self.signing, strict=True)},
            "log.pem": encoded(hashlib.sha256(self.log.public_key().public_bytes_raw()).digest()),
            "kek.hex": _check_value(kek),
            "root.hex": _check_value(self._root),
        }  # file → a value that identifies the key without revealing it
        if not self.signing:
            raise Unavailable(f"keys: no token-*.pem in {folder}")
        self._derived: dict[str, bytes] = {}

    def _make_missing(self) -> None:
        if not list(self.folder.glob("token-*.pem")):
            _write(self.folder / "token-0001.pem", _pem(ec.generate_private_key(ec.SECP256R1())))
        if not (self.folder / "log.pem").exists():
            _write(self.folder / "log.pem", _pem(ed25519.Ed25519PrivateKey.generate()))
        for name in ("kek.hex", "root.hex"):
            if not (self.folder / name).exists():
                _write(self.folder / name, fresh_bytes(SECRET_BYTES).hex().encode() + b"\n")

    # ---- signing

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A compact ES256 JWS by the newest token key."""
        key = self.signing[0]
        return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": typ})

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": [key.jwk for key in self.signing]}

    def public_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        for key in self.signing:
            if key.kid == kid:
                return key.private.public_key()
        return None

    # ---- derived secrets

    def derive(self, use: str) -> bytes:
        """The 32-byte key for one named use (HKDF-SHA256, RFC 5869). The same name always gives the same key."""
        if use not in self._derived:
            kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"aval/" + use.encode())
            self._derived[use] = kdf.derive(self._root)
        return self._derived[use]

    def mac(self, use: str, *parts: str) -> str:
        """HMAC-SHA256 of the parts, each preceded by its length so that no two lists of parts give the same input.
        43 base64url characters."""
        message = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
        return encoded(hmac.new(self.derive(use), message, hashlib.sha256).digest())

    def pairwise(self, person: str, reader: str) -> str:
        """The identifier by which `reader` (an app or organisation) knows the person. Each reader has another one, so
        that two of them cannot compare notes."""
        return self.mac("pairwise", person, reader)

    # ---- sealing

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt with the key-encryption key. `open` needs the same `context` (table, row), so that a sealed value
        cannot be moved to another row."""
        nonce = fresh_bytes(_NONCE)
        return nonce + self._kek.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        try:
            return self._kek.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except InvalidTag as error:
            raise Unavailable(f"keys: cannot open a sealed value of {context.split(':', 1)[0]}") from error


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file of mode 0600. It is complete and on the disk afterwards, or not there at all."""
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(draft, path)


Key = TypeVar("Key")


def _read(path: Path, read: Callable[[bytes], Key]) -> Key:
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise Unavailable(f"keys: {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # the library's message could quote the file
        raise Unavailable(f"keys: {path}: is not the key it should be") from error


def _ec(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    return key


def _ed(pem: bytes) -> ed25519.Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def _secret(text: bytes) -> bytes:
    secret = bytes.fromhex(text.decode("ascii").strip())
    if len(secret) != SECRET_BYTES:
        raise ValueError("not of the right length")
    return secret


def _check_value(secret: bytes) -> str:
    """A value that identifies the secret without revealing it: derived by HKDF (RFC 5869) under a name of its own."""
    kdf = HKDF(algorithm=hashes.SHA256(), length=16, salt=None, info=b"aval key check value")
    return kdf.derive(secret).hex()
