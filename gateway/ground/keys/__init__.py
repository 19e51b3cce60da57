"""Keys: making, finding, signing, encrypting ("sealing").

Four kinds and nothing else: token keys (one or more of each algorithm; they also sign assertions to organisations),
the log key (Ed25519, used for nothing else), the key-encryption key (seals what the database must not be able to
read, token keys among it), and the root secret (from which every HMAC key is derived by name, so that no two uses share
one). A check value of the last three stands in the database: with another key than it was used with nothing starts.
Only token keys may come and go.

    ring     the keys, signing, sealing        opaque       secrets that are only looked up
    jose     reads tokens and public keys      strict       reads JSON
    access, known   reads our own access tokens; again   dpop   reads proofs of possession of a token's key
    sealing  values that leave and come back   algorithms   what tokens are signed with
    files    those in the keys folder          sealing_key  where the key-encryption key comes from
    hardware    … unwrapped by a module (PKCS #11)
    keysets  others' public keys, checked

It knows no row and no person; who has rows of token keys hands them in. Whatever claims to be signed is read here and
nowhere else: two readers that differ are a way around a check.

The one invariant: no private key is in the database but sealed to its row, and the key that seals is never in it.
"""

from gateway.ground.keys.opaque import fresh, hashed, same
from gateway.ground.keys.ring import KeyRing
from gateway.ground.keys.sealing import Sealer

__all__ = ["KeyRing", "Sealer", "fresh", "hashed", "same"]
