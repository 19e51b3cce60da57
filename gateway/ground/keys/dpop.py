"""DPoP proofs (RFC 9449 §4.3): whoever sends a key-bound token shows that she holds the key, once per call.

The header of a client's proofs is the same each time, so it is parsed and its key checked
once; what remains per call is one P-256 verification.
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
PROOFS_HELD = 500_000  # of one window; at that rate there is no memory left to notice a replay


class Replays:
    """The proofs of the last two windows. Of one process, which is all that serve one SQLite file (Store.claim).

    What was seen before the process began is not remembered, so a proof from before then is refused.
    """

    def __init__(self, now: float) -> None:
        self.since = int(now)
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
    """Checks proofs against the configured address, never against the request's own idea of it (D8)."""

    public_url: str
    replays: Replays
    _keys: OrderedDict[str, tuple[ec.EllipticCurvePublicKey, str]] = field(default_factory=OrderedDict)

    def holds(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> bool:
        """Whether `proof` was made for this call with the token's key, and is new.

        `bound`: thumbprint of that key; `ath`: base64url SHA-256 of the token (RFC 9449 §4.2); `now`: epoch seconds.
        Raises Unavailable when no more proofs can be remembered.
        """
        try:
            return self._holds(proof, bound, ath, method, path, now)
        except jose.Malformed:
            return False

    def _holds(self, proof: str, bound: str, ath: str, method: str, path: str, now: float) -> bool:
        if len(proof) > LIMIT:
            return False
        head, body, signature = jose.split(proof)
        # 1. the key of the header is the key of the token
        key, found = self._key(head)
        if not hmac.compare_digest(found, bound):
            return False
        # 2. made for this call: method, address, token, and now
        claims = jose.json_object(body)
        made = jose.numeric_date(claims, "iat")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 8 <= len(jti) <= JTI_LIMIT:
            return False
        if abs(now - made) > WINDOW_SECONDS or made < self.replays.since:
            return False
        if claims.get("htm") != method or not self._same_address(claims.get("htu"), path):
            return False
        if not hmac.compare_digest(str(claims.get("ath")).encode(), ath.encode()):
            return False
        # 3. by that key
        jose.verify(key, f"{head}.{body}".encode(), signature)
        # 4. and never before: remembered last, so that nobody can spend the proof of another
        return self.replays.first_use(hashlib.sha256(f"{found}.{jti}".encode()).digest()[:16], now)

    def _key(self, head: str) -> tuple[ec.EllipticCurvePublicKey, str]:
        known = self._keys.get(head)
        if known is None:
            known = self._keys[head] = jose.p256_key(jose.header_of(head, KIND).get("jwk"))
            if len(self._keys) > KEYS_HELD:
                self._keys.popitem(last=False)
        return known

    def _same_address(self, htu: object, path: str) -> bool:
        """Without query and fragment (RFC 9449 §4.3, 9); scheme and host in any case."""
        if not isinstance(htu, str):
            return False
        if htu == self.public_url + path:
            return True
        bare = htu.partition("?")[0].partition("#")[0]
        origin, found = bare[: len(self.public_url)], bare[len(self.public_url) :]
        return origin.lower() == self.public_url.lower() and found == path
