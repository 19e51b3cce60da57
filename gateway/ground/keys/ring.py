"""The key ring: the private keys of one gateway, from its keys folder.

Token keys come and go while the gateway runs (`take`); the other three are for good. What a new token key signs must
be accepted by everybody at once; but not every machine has the file in the same moment, nor does whoever keeps a copy
of /jwks.json. So a key is published, and what it has signed is accepted, from when it is read; it signs once its file
has lain there for a while (`settle_seconds`). Where none has, as on a machine that was made a minute ago, the oldest
signs: others have known it for longest.
"""

import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import jwt
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Unavailable
from gateway.ground import disk
from gateway.ground.keys.jose import encoded
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.keys.sealing import Sealer

FOR_GOOD = ("log.pem", "kek.hex", "root.hex")  # what they have signed, sealed or named cannot be made anew
SECRET_BYTES = 32
_NONCE = 12


@dataclass(frozen=True)
class SigningKey:
    """One ES256 key. `kid` is its RFC 7638 thumbprint."""

    private: ec.EllipticCurvePrivateKey
    file: str
    since: float  # epoch second of the last change to its file

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


@dataclass(frozen=True)
class _TokenKeys:
    """The token keys as read at one time."""

    signing: tuple[SigningKey, ...]  # newest first, by their files' names
    checks: dict[str, str]
    signer: SigningKey


class KeyRing:
    """The keys as read at the start, and the token keys as `take` read them last. With `create` missing keys are made;
    otherwise a missing key is an error."""

    def __init__(self, folder: Path, *, create: bool = False, settle_seconds: float = 0) -> None:
        self.folder, self._settle_seconds = folder, settle_seconds
        if create:
            try:
                disk.private_folder(folder)
                self._make_missing()
            except OSError as error:
                raise Unavailable(f"keys: {folder}: none can be made there ({error.strerror})") from error
        paths = sorted(folder.glob("token-*.pem"), reverse=True)
        signing = tuple([SigningKey(_read(path, _ec), path.name, _changed_at(path)) for path in paths])
        self.log: ed25519.Ed25519PrivateKey = _read(folder / "log.pem", _ed)
        kek, self._root = (_read(folder / name, _secret) for name in ("kek.hex", "root.hex"))
        self._kek = AESGCM(kek)
        checks = {
            **{path.name: key.kid for path, key in zip(paths, signing, strict=True)},
            "log.pem": encoded(hashlib.sha256(self.log.public_key().public_bytes_raw()).digest()),
            "kek.hex": _check_value(kek),
            "root.hex": _check_value(self._root),
        }
        if not signing:
            raise Unavailable(f"keys: no token-*.pem in {folder}")
        self._settled: frozenset[str] = frozenset()  # kids; for good, so that touching a file undoes nothing
        self._tokens = _TokenKeys(signing, checks, signing[-1])
        self.settle(time.time())
        self._derived: dict[str, bytes] = {}

    def _make_missing(self) -> None:
        if not list(self.folder.glob("token-*.pem")):
            _write(self.folder / "token-0001.pem", _pem(ec.generate_private_key(ec.SECP256R1())))
        if not (self.folder / "log.pem").exists():
            _write(self.folder / "log.pem", _pem(ed25519.Ed25519PrivateKey.generate()))
        for name in ("kek.hex", "root.hex"):
            if not (self.folder / name).exists():
                _write(self.folder / name, fresh_bytes(SECRET_BYTES).hex().encode() + b"\n")

    # ---- token keys that come and go

    @property
    def signing(self) -> tuple[SigningKey, ...]:
        """The token keys, newest first: each is published, and what it has signed is accepted."""
        return self._tokens.signing

    @property
    def signer(self) -> SigningKey:
        """The token key whose turn it is."""
        return self._tokens.signer

    @property
    def checks(self) -> dict[str, str]:
        """File → a value that identifies its key without revealing it."""
        return self._tokens.checks

    def foreign(self, other: "KeyRing") -> list[str]:
        """The files of `other` that are for good and hold another key than this ring's."""
        return [file for file in FOR_GOOD if other.checks[file] != self.checks[file]]

    def take(self, other: "KeyRing", now: float) -> None:
        """From now on the token keys are those of `other`, read later from the same folder. `now`: epoch seconds."""
        self._choose(other._tokens, now)

    def settle(self, now: float) -> None:
        """Choose the key that signs from now on. `now`: epoch seconds."""
        self._choose(self._tokens, now)

    def _choose(self, tokens: _TokenKeys, now: float) -> None:
        """The newest that has settled signs; where none has, the oldest."""
        settled = [key for key in tokens.signing if key.kid in self._settled or now - key.since >= self._settle_seconds]
        self._settled = frozenset(key.kid for key in settled)
        self._tokens = replace(tokens, signer=settled[0] if settled else tokens.signing[-1])

    # ---- signing

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A compact ES256 JWS by the token key whose turn it is."""
        key = self.signer
        return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": typ})

    def sign_message(self, message: bytes, key: SigningKey) -> bytes:
        """r ‖ s: ECDSA P-256 with SHA-256 by one of the token keys, of a message that begins with a quotation mark
        (RFC 9421 §2.5). No JWS has one in what is signed, so neither is ever taken for the other. Raises ValueError."""
        if not message.startswith(b'"'):
            raise ValueError("not a signature base")
        r, s = decode_dss_signature(key.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

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

    def sealer(self, use: str) -> Sealer:
        """For values that leave and come back, of one named use."""
        return Sealer(self.derive(use))

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


def files(folder: Path) -> Iterator[Path]:
    """The key files: not what else may lie among them, such as the mark of the log."""
    yield from sorted(folder.glob("token-*.pem"))
    yield from (folder / name for name in FOR_GOOD)


def open_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, mode it should have) of every file in the folder, or the folder, that group or others may use."""
    for path in (folder, *sorted(folder.glob("*"))) if folder.is_dir() else ():
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:  # it has just gone, or is a link to nothing, as an editor leaves one beside a file
            continue
        if stat.S_IMODE(mode) & 0o077:
            yield path, "700" if stat.S_ISDIR(mode) else "600"


def _changed_at(path: Path) -> float:
    """When the file came here or was changed, by the kernel's word: a copy keeps the rest of its times."""
    try:
        return path.stat().st_ctime
    except OSError as error:
        raise Unavailable(f"keys: {path}: {error.strerror}") from error


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
    disk.renamed(draft, path)


Key = TypeVar("Key")


def _read(path: Path, read: Callable[[bytes], Key]) -> Key:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unavailable(f"keys: {path}: is not a file")  # and reading a pipe would wait for its other end
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
