"""Values that leave and come back: sealed, so that nobody reads or makes them, in text that fits into an address.

The same value sealed for the same context gives the same text (AES-SIV, RFC 5297), so that a page that is read again
has the same links.
"""

import base64
import binascii
import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.ground.keys.opaque import fresh_bytes


class Sealer:
    def __init__(self, key: bytes | None = None) -> None:
        """`key`: 32 bytes; None: one of its own, which nobody else has."""
        self._cipher = AESSIV(key or fresh_bytes(32))

    def seal(self, plain: str, *context: str) -> str:
        """As base64url text. To be opened it needs the same context."""
        sealed = self._cipher.encrypt(plain.encode(), [json.dumps(context).encode()])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, *context: str) -> str | None:
        """None: it was not sealed by this key for this context."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(sealed, [json.dumps(context).encode()]).decode()
        except (InvalidTag, binascii.Error, ValueError):
            return None
