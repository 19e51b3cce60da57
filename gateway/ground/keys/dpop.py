"""DPoP proofs (RFC 9449 §4.3): with each call, the sender of a key-bound token proves that it holds the key.

The header of a client's proofs is the same each time, so it is parsed and its key checked
only once. Each call then costs one verification: of P-256 most often, which has a way of its own.

Who asks for tokens shows a proof of any key (`proved`); who uses a key-bound token shows one of that key (`held`).
Whether a proof was used before is remembered here for the data plane, and in the database for everything else.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Unavailable
from gateway.ground.keys import jose, keysets
from gateway.ground.keys.opaque import same
from gateway.ground.keys.ring import KeyRing

WINDOW_SECONDS = 60  # how far `iat` may lie from now, either way
LIMIT = 4096  # characters of a proof
JTI_LIMIT = 256
KEYS_HELD = 4096
ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")
KIND = jose.TokenKind(types=("dpop+jwt",), algorithms=ALGORITHMS)
PROOFS_HELD = 500_000  # proofs remembered per window; beyond that replays cannot be noticed, so proofs are refused
NONCE_SECONDS = 120  # a nonce is good from one of these turns to the end of the next


class NonceNeeded(Exception):
    """The proof must carry a nonce of ours that is still good (RFC 9449 §8, §9). `nonce`: one that is."""

    def __init__(self, nonce: str) -> None:
        super().__init__("nonce")
        self.nonce = nonce


class Nonces:
    """Nonces of one kind of server, made of the time alone: every process knows them, and none is stored.

    `use`: "authorization" or "resource", whose nonces differ (RFC 9449 §9). `needed`: a proof without one is refused;
    otherwise a proof need not have one, but one that it has must be good.
    """

    def __init__(self, keys: KeyRing, use: str, needed: bool) -> None:
        self._keys, self._use, self.needed = keys, use, needed

    def present(self, now: float) -> str:
        return self._of(int(now) // NONCE_SECONDS)

    def check(self, nonce: object, now: float) -> bool:
        """Whether the proof has a good one. Raises NonceNeeded where it needs one, or has an old or a foreign one."""
        if nonce is None and not self.needed:
            return False
        turn = int(now) // NONCE_SECONDS
        if isinstance(nonce, str) and any(same(nonce, self._of(one)) for one in (turn, turn - 1)):
            return True
        raise NonceNeeded(self._of(turn))

    def _of(self, turn: int) -> str:
        return self._keys.mac("dpop-nonce", self._use, str(turn))


class Replays:
    """Remembers the proofs of the last two windows that this process has seen.

    `since`: proofs made before are refused, because nobody knows whether an earlier process has seen them. Where other
    processes may see the same proof, it is spent with the call as well (`ledger.contract.Item.proof`).
    """

    def __init__(self, now: float, since: float) -> None:
        self.since = math.ceil(since)  # `iat` is in whole seconds: one of this very second may have been shown before
        self._turned = now
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def first_use(self, proof: bytes, now: float) -> bool:
        """Whether this proof is new. Raises Unavailable when no more can be remembered."""
        if now - self._turned > 2 * WINDOW_SECONDS:
            self._old = self._young if now - self._turned <= 4 * WINDOW_SECONDS else set()
            self._young = set()
            self._turned = now
        if proof in self._young or proof in self._old:
            return False
        if len(self._young) >= PROOFS_HELD:
            raise Unavailable("dpop: replay memory is full")
        self._young.add(proof)
        return True


@dataclass(frozen=True)
class ProofKey:
    """The key in the header of a proof."""

    algorithm: str
    thumbprint: str  # RFC 7638
    p256: ec.EllipticCurvePublicKey | None
    jwk: Mapping[str, Any]

    def verify(self, message: bytes, signature: str) -> None:
        """Raises Malformed."""
        if self.p256 is not None:
            jose.verify(self.p256, message, signature)
        else:
            jose.verify_by(self.jwk, self.algorithm, message, signature)


@dataclass(frozen=True)
class Proved:
    """A proof that was made for this call, by this key. Whether it was used before is for the caller to see to."""

    thumbprint: str
    id: bytes  # 16 bytes that name the proof: its key and its jti


@dataclass
class Proofs:
    """Checks proofs. Their address is compared with the configured one, never with what the request says of itself."""

    public_url: str
    replays: Replays
    nonces: Nonces | None = None  # None: the server has none, and passes over those that others gave
    _keys: OrderedDict[str, ProofKey] = field(default_factory=OrderedDict)

    def held(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> bytes | None:
        """What identifies `proof`, if it was made for this call with the token's key and is new here; else None.

        `bound`: thumbprint of that key; `ath`: base64url SHA-256 of the token (RFC 9449 §4.2); `now`: epoch seconds.
        Raises NonceNeeded; Unavailable when no more proofs can be remembered.
        """
        try:
            shown = self._shown(proof, bound, ath, method, path, now)
        except jose.Malformed:
            return None
        return shown.id if shown is not None and self.replays.first_use(shown.id, now) else None

    def proved(self, proof: str, method: str, path: str, now: float) -> Proved | None:
        """The key that a call without an access token was proved with; None: the proof is not good for it.

        Raises NonceNeeded.
        """
        try:
            return self._shown(proof, "", "", method, path, now)
        except jose.Malformed:
            return None

    def _shown(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> Proved | None:
        if len(proof) > LIMIT:
            return None
        head, body, signature = jose.split(proof)
        # 1. the key of the header is the key of the token
        key = self._key(head)
        if bound and not same(key.thumbprint, bound):
            return None
        # 2. made for this call: method, address, token, and now
        claims = jose.json_object(body)
        made = jose.numeric_date(claims, "iat")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 8 <= len(jti) <= JTI_LIMIT:
            return None
        if claims.get("htm") != method or not self._same_address(claims.get("htu"), path):
            return None
        if ath and not same(str(claims.get("ath")), ath):
            return None
        # 3. by that key
        key.verify(f"{head}.{body}".encode(), signature)
        # 4. made now: by its own word, and by ours where it has a nonce
        if self.nonces is not None:
            self.nonces.check(claims.get("nonce"), now)
        if abs(now - made) > WINDOW_SECONDS or made < self.replays.since:
            return None
        # whether it was used before is looked at last, so that one with a wrong signature cannot use up the right one
        return Proved(key.thumbprint, hashlib.sha256(f"{key.thumbprint}.{jti}".encode()).digest()[:16])

    def _key(self, head: str) -> ProofKey:
        known = self._keys.get(head)
        if known is None:
            known = self._keys[head] = _read(head)
            if len(self._keys) > KEYS_HELD:
                self._keys.popitem(last=False)
        return known

    def _same_address(self, htu: object, path: str) -> bool:
        """Whether `htu` is this path's address, without query and fragment (RFC 9449 §4.3, check 9), after the
        normalisation of RFC 3986 §6.2.2 and §6.2.3: upper and lower case do not matter in scheme and host, nor does
        a port that is the scheme's own."""
        if not isinstance(htu, str):
            return False
        if htu == self.public_url + path:
            return True
        bare = htu.partition("?")[0].partition("#")[0]
        scheme, separator, rest = bare.partition("://")
        host, slash, found = rest.partition("/")
        named = scheme.lower() + separator + host.lower()
        usual = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
        if usual and named.endswith(usual) and not self.public_url.endswith(usual):
            named = named[: -len(usual)]
        return named == self.public_url.lower() and slash + found == path


def _read(head: str) -> ProofKey:
    """Raises Malformed: no public key in the header, or one that must not be used."""
    header = jose.header_of(head, KIND)
    algorithm, jwk = header["alg"], header.get("jwk")
    if algorithm == "ES256":
        p256, thumbprint = jose.p256_key(jwk)
        return ProofKey(algorithm, thumbprint, p256, {})
    if not isinstance(jwk, dict) or keysets.fault(jwk) or not jose.may_verify(jwk, algorithm):
        raise jose.Malformed("key")
    return ProofKey(algorithm, jose.thumbprint(jwk), None, jwk)
