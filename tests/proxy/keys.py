"""A client's own key, and the DPoP proofs it signs."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self, number: int | None = None) -> None:
        """`number`: the private scalar; None for a fresh key."""
        curve = ec.SECP256R1()
        self.private = ec.generate_private_key(curve) if number is None else ec.derive_private_key(number, curve)
        numbers = self.private.public_key().public_numbers()
        self.jwk = {
            "crv": "P-256",
            "kty": "EC",
            "x": b64(numbers.x.to_bytes(32, "big")),
            "y": b64(numbers.y.to_bytes(32, "big")),
        }
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        self.thumbprint = b64(hashlib.sha256(canonical.encode()).digest())

    @property
    def number(self) -> int:
        return self.private.private_numbers().private_value

    def sign(self, header: dict[str, Any], claims: dict[str, Any] | str) -> str:
        body = claims if isinstance(claims, str) else json.dumps(claims)
        message = f"{b64(json.dumps(header).encode())}.{b64(body.encode())}"
        r, s = decode_dss_signature(self.private.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def proof(self, address: str, token: str, **changed: Any) -> str:
        """A proof for `GET address` with `token`; `changed` members replace good ones, None leaves them out."""
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk, **changed.pop("header", {})}
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": "GET",
            "htu": address,
            "iat": int(time.time()),
            "ath": b64(hashlib.sha256(token.encode()).digest()),
            **changed,
        }
        return self.sign(header, {name: value for name, value in claims.items() if value is not None})
