"""Keys: making, finding, signing, sealing.

Private keys are files of mode 0600 in a folder of their own, never in the database.
Four kinds and nothing else: the token key (ES256, also signs assertions to organisations),
the log key (Ed25519, used for nothing else), the key-encryption key (seals what the
database must not be able to read), and the root secret (from which every HMAC key is
derived by name, so that no two uses share one).
"""

from gateway.keys.opaque import fresh, hashed, same
from gateway.keys.ring import KeyRing

__all__ = ["KeyRing", "fresh", "hashed", "same"]
