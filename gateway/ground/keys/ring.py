"""The key ring: what one process of a gateway signs, seals and derives with.

The log key, the sealing key and the root secret are for good and come from outside the database. Token keys come and
go: they are rows of the database, sealed, and whoever reads them hands them over (`take`). What a new token key signs
must be accepted by everybody at once; but not every process sees it in the same moment, nor does whoever keeps a copy
of /jwks.json. So a key is published and accepted from the moment it is there, and signs from a later one on; the one
before is accepted until what it has signed is over. Where none of an algorithm signs yet, the oldest does: others have
known it for longest.
"""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Unavailable
from gateway.ground.keys import files, sealing_key
from gateway.ground.keys.algorithms import DEFAULT, SigningKey
from gateway.ground.keys.jose import encoded
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.keys.sealing import Sealer
from gateway.ground.keys.sealing_key import KeyFromFile, SealingKeySource
from gateway.settings import Settings

FOR_GOOD = (files.LOG, sealing_key.FILE, files.ROOT)  # what they have signed, sealed or named cannot be made anew
AGAIN_SECONDS = 1.0  # from one reading of the token keys to the next, however many ask for one
WAITING = 8  # threads that may wait for a reading at once
STALE_SECONDS = 10.0  # a process that could not read the token keys for so long does not know which have ended
_KID = 43  # characters of a thumbprint
_NONCE = 12


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A token key as the database keeps it. Times are epoch seconds."""

    kid: str
    algorithm: str
    sealed: bytes = field(repr=False)  # the private key; empty: it was deleted
    signs_from: float
    accepted_until: float | None = None  # None: there is no end yet
    ended: bool = False  # in an emergency, at once

    @property
    def context(self) -> str:
        """To which the private key is sealed."""
        return f"signingkey:{self.kid}:{self.algorithm}"

    def is_accepted(self, now: float) -> bool:
        return bool(self.sealed) and not self.ended and (self.accepted_until is None or now < self.accepted_until)


@dataclass(frozen=True, slots=True)
class _TokenKeys:
    """The token keys at one time."""

    kept: tuple[KeptKey, ...] = ()  # as read last, those that could be opened
    signing: tuple[SigningKey, ...] = ()  # accepted and published, the newest first
    signers: Mapping[str, SigningKey] = field(default_factory=dict)  # by algorithm
    verifying: Mapping[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)  # ES256 only, by kid


class KeyRing:
    """The keys as read at the start, and the token keys as `take` was given them last. With `create`, missing files are
    made, and a token key that is kept nowhere: whoever has a database takes those of its table instead."""

    def __init__(self, folder: Path, *, create: bool = False, sealing: SealingKeySource | None = None) -> None:
        self.folder = folder
        self.sealing = sealing or KeyFromFile(folder / sealing_key.FILE)
        if create:
            files.make_missing(folder, self.sealing.file)
        self.log, self._root, kek = files.log_key(folder), files.root(folder), self.sealing.read()
        self._kek = AESGCM(kek)
        self.checks = {  # name → a value that identifies the key without revealing it
            files.LOG: encoded(hashlib.sha256(self.log.public_key().public_bytes_raw()).digest()),
            sealing_key.FILE: _check_value(kek),
            files.ROOT: _check_value(self._root),
        }
        self._derived: dict[str, bytes] = {}
        self._opened: dict[bytes, SigningKey] = {}  # by the sealed value
        self._tokens = _TokenKeys()
        self._changing = threading.Lock()  # of the two before
        self._watched_since: float | None = None  # monotonic
        self._reading = _TokenKeyReading()
        self._others_sign = True
        self.reading = threading.Lock()  # of whoever reads them and takes what was read: an older one never comes last
        if create:
            self.take([self.kept(SigningKey.made(), signs_from=0)], time.time())

    @classmethod
    def of(cls, settings: Settings, *, create: bool = False) -> "KeyRing":
        """Raises Unavailable."""
        return cls(settings.keys, create=create, sealing=sealing_key.source(settings))

    def place(self, name: str) -> str:
        """Where the key with this check value comes from, for messages."""
        return self.sealing.where if name == sealing_key.FILE else str(self.folder / name)

    def foreign(self, other: "KeyRing") -> list[str]:
        """The names of the keys that are for good and that `other` has another one of."""
        return [name for name in FOR_GOOD if other.checks[name] != self.checks[name]]

    # ---- token keys that come and go

    @property
    def signing(self) -> tuple[SigningKey, ...]:
        """The token keys, newest first: each is published, and what it has signed is accepted. The same object until
        they are others."""
        return self._tokens.signing

    @property
    def signer(self) -> SigningKey:
        """The token key of ES256 whose turn it is. Raises Unavailable."""
        return self.signer_of(DEFAULT)

    def signer_of(self, algorithm: str) -> SigningKey:
        """Raises Unavailable."""
        found = self._tokens.signers.get(algorithm)
        if found is None:
            raise Unavailable(
                f"keys: no token key for {algorithm}; `aval keys rotate --algorithm {algorithm}` makes one"
            )
        return found

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those that something can be signed by now."""
        return tuple(sorted(self._tokens.signers))

    def kept(self, key: SigningKey, *, signs_from: float) -> KeptKey:
        """A key as the database is to keep it."""
        open_ = KeptKey(key.kid, key.algorithm, b"", signs_from)
        return KeptKey(key.kid, key.algorithm, self.seal(key.packed(), open_.context), signs_from)

    def unsealed(self, kept: KeptKey) -> SigningKey:
        """Raises Unavailable, for what was not sealed for this row or is another key than the row says."""
        known = self._opened.get(kept.sealed)
        if known is None or (known.kid, known.algorithm) != (kept.kid, kept.algorithm):
            try:
                known = SigningKey.unpacked(self.open(kept.sealed, kept.context), kept.algorithm)
            except (ValueError, KeyError):
                known = None
            if known is None or known.kid != kept.kid:
                raise Unavailable(f"keys: token key {kept.kid} is not what its row says")
        return known

    def take(self, kept: Iterable[KeptKey], now: float) -> list[str]:
        """From now on the token keys are these. Returns the kids of those whose sealed value cannot be opened in its
        place: they are left out. `now`: epoch seconds."""
        opened: dict[bytes, SigningKey] = {}
        taken, wrong = [], []
        for each in kept:
            if not each.is_accepted(now):
                continue
            try:
                opened[each.sealed] = self.unsealed(each)
                taken.append(each)
            except Unavailable:
                wrong.append(each.kid)
        with self._changing:
            self._opened = opened
            self._choose(tuple(taken), now)
        return wrong

    def settle(self, now: float) -> None:
        """Choose the keys that are accepted and that sign from now on. `now`: epoch seconds."""
        with self._changing:
            self._choose(self._tokens.kept, now)

    def _choose(self, kept: tuple[KeptKey, ...], now: float) -> None:
        """Of those of one algorithm that sign the newest does; where none does, the oldest."""
        newest_first = sorted((each for each in kept if each.is_accepted(now)), key=_age, reverse=True)
        signing = tuple([self._opened[each.sealed] for each in newest_first])
        signers: dict[str, SigningKey] = {}
        for each, key in zip(newest_first, signing, strict=True):
            if each.signs_from <= now:
                signers.setdefault(each.algorithm, key)
        for key in reversed(signing):
            signers.setdefault(key.algorithm, key)
        if signing == self._tokens.signing:
            signing = self._tokens.signing
        verifying = {key.kid: key.public for key in signing if key.algorithm == DEFAULT}
        self._tokens = _TokenKeys(kept, signing, signers, verifying)

    # ---- reading them again

    def read_by(self, read: Callable[[], object], *, others: bool = True) -> None:
        """`read` takes the token keys as they are in the database now. `others`: tokens are signed by other processes
        too, perhaps by a key that this one has not read yet."""
        self._reading.read, self._others_sign = read, others

    def read_again(self, since: float) -> bool:
        """Read the token keys again, or wait for a reading that began after `since` (monotonic). Whether there was one.
        It may take AGAIN_SECONDS: never on the event loop. Raises Unavailable."""
        return self._reading.after(since)

    def was_read(self, began: float) -> None:
        """A reading that began then (monotonic) is taken."""
        self._reading.began = max(self._reading.began, began)

    def watch(self, watched: bool) -> None:
        """Whether somebody reads the token keys all the time. Who should, and cannot for STALE_SECONDS, does not know
        any more which of them have ended."""
        self._watched_since = time.monotonic() if watched else None

    def require_fresh(self) -> None:
        """Raises Unavailable."""
        since = self._watched_since
        if since is not None and time.monotonic() > max(since, self._reading.began) + STALE_SECONDS:
            raise Unavailable("keys: the token keys could not be read for a while")

    def may_come(self, kid: str) -> bool:
        """Whether this unknown kid may be that of a key which this process has not read yet."""
        return len(kid) == _KID and self._others_sign and self._reading.read is not None

    def awaited_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """As `public_key`; one that is not known is looked for in the database, once. Never on the event loop."""
        since = time.monotonic()
        found = self.public_key(kid)
        if found is None and self.may_come(kid) and self.read_again(since):
            found = self.public_key(kid)
        return found

    # ---- signing

    def sign(self, claims: dict[str, Any], *, typ: str, algorithm: str = DEFAULT) -> str:
        """A compact JWS by the token key of this algorithm whose turn it is. Raises Unavailable where there is none."""
        if algorithm not in self._tokens.signers:  # made a moment ago, perhaps, by another process
            self.read_again(time.monotonic())
        key = self.signer_of(algorithm)
        return jwt.encode(claims, key.private, algorithm=algorithm, headers={"kid": key.kid, "typ": typ})

    def sign_message(self, message: bytes, key: SigningKey) -> bytes:
        """r ‖ s: ECDSA P-256 with SHA-256 by one of the token keys of ES256, of a message that begins with a quotation
        mark (RFC 9421 §2.5). No JWS has one in what is signed, so neither is ever taken for the other. Raises
        ValueError."""
        if not message.startswith(b'"') or key.algorithm != DEFAULT:
            raise ValueError("not a signature base, or a key of another algorithm")
        r, s = decode_dss_signature(key.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": [key.jwk for key in self.signing]}

    def public_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Of a token key of ES256, from memory."""
        return self._tokens.verifying.get(kid)

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
        return encoded(hmac.digest(self.derive(use), message, "sha256"))

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
        except (InvalidTag, ValueError) as error:
            raise Unavailable(f"keys: cannot open a sealed value of {context.split(':', 1)[0]}") from error


class _TokenKeyReading:
    """At most one reading in AGAIN_SECONDS, for however many threads that wait for one."""

    def __init__(self) -> None:
        self.read: Callable[[], object] | None = None
        self.began = float("-inf")  # when the last reading that was taken began, monotonic
        self._tried = float("-inf")
        self._turn = threading.Lock()
        self._room = threading.BoundedSemaphore(WAITING)

    def after(self, since: float) -> bool:
        """Whether a reading has been taken that began after `since`. Raises Unavailable."""
        if self.read is None or not self._room.acquire(blocking=False):
            return False
        try:
            with self._turn:
                while self.began <= since and (wait := self._tried + AGAIN_SECONDS - time.monotonic()) > 0:
                    time.sleep(min(wait, 0.05))  # another thread may read meanwhile, without being asked
                if self.began <= since:
                    self._tried = time.monotonic()
                    self.read()
            return self.began > since
        finally:
            self._room.release()


def _age(kept: KeptKey) -> tuple[float, str]:
    return kept.signs_from, kept.kid


def _check_value(secret: bytes) -> str:
    """A value that identifies the secret without revealing it: derived by HKDF (RFC 5869) under a name of its own."""
    kdf = HKDF(algorithm=hashes.SHA256(), length=16, salt=None, info=b"aval key check value")
    return kdf.derive(secret).hex()
