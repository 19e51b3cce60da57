"""Keys: making, finding, signing, encrypting ("sealing").

Four kinds and nothing else: the token key (ES256, also signs assertions to organisations),
the log key (Ed25519, used for nothing else), the key-encryption key (seals what the
database must not be able to read), and the root secret (from which every HMAC key is
derived by name, so that no two uses share one). A check value of each stands in the
database: with another key than it was used with nothing starts. Only token keys may come and go.

    ring     the keys, signing, sealing        opaque  secrets that are only looked up
    jose     reads tokens and public keys      strict  reads JSON
    access   reads our own access tokens       dpop    reads proofs of possession of a token's key
    keysets  others' public keys, checked
    sealing  values that leave and come back

It knows no row and no person. Whatever claims to be signed is read here and nowhere else: two
readers that differ are a way around a check.

The one invariant: private keys are files of mode 0600 in a folder of their own, never in the database.
"""

from gateway.ground.keys.opaque import fresh, hashed, same
from gateway.ground.keys.ring import KeyRing
from gateway.ground.keys.sealing import Sealer

__all__ = ["KeyRing", "Sealer", "fresh", "hashed", "same"]
