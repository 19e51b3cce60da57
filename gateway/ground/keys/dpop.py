"""DPoP proofs (RFC 9449 §4.3): with each call, the sender of a key-bound token proves that it holds the key.

The header of a client's proofs is the same each time, so it is parsed and its key checked
only once. Each call then costs one P-256 verification.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Unavailable
from gateway.ground.keys import jose

WINDOW_SECONDS = 60  # how far `iat` may lie from now, either way
LIMIT = 4096  # characters of a proof
JTI_LIMIT = 256
KEYS_HELD = 4096
KIND = jose.TokenKind(types=("dpop+jwt",), algorithms=("ES256",))
PROOFS_HELD = 500_000  # proofs remembered per window; beyond that replays cannot be noticed, so proofs are refused


class Replays:
    """Remembers the proofs of the last two windows that this process has seen.

    `since`: proofs made before are refused, because nobody knows whether an earlier process has seen them. Where other
    processes may see the same proof, it is spent with the call as well (`ledger.contract.Item.proof`).
    """

    def __init__(self, now: float, since: float) -> None:
        self.since = int(since)
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


@dataclass
class Proofs:
    """Checks proofs. Their address is compared with the configured one, never with what the request says of itself."""

    public_url: str
    replays: Replays
    _keys: OrderedDict[str, tuple[ec.EllipticCurvePublicKey, str]] = field(default_factory=OrderedDict)

    def held(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> bytes | None:
        """What identifies `proof`, if it was made for this call with the token's key and is new here; else None.

        `bound`: thumbprint of that key; `ath`: base64url SHA-256 of the token (RFC 9449 §4.2); `now`: epoch seconds.
        Raises Unavailable when no more proofs can be remembered.
        """
        try:
            return self._held(proof, bound, ath, method, path, now)
        except jose.Malformed:
            return None

    def _held(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> bytes | None:
        if len(proof) > LIMIT:
            return None
        head, body, signature = jose.split(proof)
        # 1. the key of the header is the key of the token
        key, found = self._key(head)
        if not hmac.compare_digest(found, bound):
            return None
        # 2. made for this call: method, address, token, and now
        claims = jose.json_object(body)
        made = jose.numeric_date(claims, "iat")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 8 <= len(jti) <= JTI_LIMIT:
            return None
        if abs(now - made) > WINDOW_SECONDS or made < self.replays.since:
            return None
        if claims.get("htm") != method or not self._same_address(claims.get("htu"), path):
            return None
        if not hmac.compare_digest(str(claims.get("ath")).encode(), ath.encode()):
            return None
        # 3. by that key
        jose.verify(key, f"{head}.{body}".encode(), signature)
        # 4. not used before. Checked last, so that a proof with a wrong signature cannot use up the right one.
        known = hashlib.sha256(f"{found}.{jti}".encode()).digest()[:16]
        return known if self.replays.first_use(known, now) else None

    def _key(self, head: str) -> tuple[ec.EllipticCurvePublicKey, str]:
        known = self._keys.get(head)
        if known is None:
            known = self._keys[head] = jose.p256_key(jose.header_of(head, KIND).get("jwk"))
            if len(self._keys) > KEYS_HELD:
                self._keys.popitem(last=False)
        return known

    def _same_address(self, htu: object, path: str) -> bool:
        """Whether `htu` is this path's address, without query and fragment (RFC 9449 §4.3, check 9). Upper and lower
        case do not matter in scheme and host."""
        if not isinstance(htu, str):
            return False
        if htu == self.public_url + path:
            return True
        bare = htu.partition("?")[0].partition("#")[0]
        origin, found = bare[: len(self.public_url)], bare[len(self.public_url) :]
        return origin.lower() == self.public_url.lower() and found == path
