"""The key that a client's token is bound to (RFC 9449)."""

import base64
import hashlib
import json
import math
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.proxy.bank import Bank


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A client's own key, and what it signs."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
                    "y": b64(numbers.y.to_bytes(32, "big"))}  # fmt: skip
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        self.thumbprint = b64(hashlib.sha256(canonical.encode()).digest())

    def sign(self, header: dict[str, Any], claims: dict[str, Any] | str) -> str:
        body = claims if isinstance(claims, str) else json.dumps(claims)
        message = f"{b64(json.dumps(header).encode())}.{b64(body.encode())}"
        r, s = decode_dss_signature(self.private.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def proof(self, bank: Bank, token: str, **changed: Any) -> str:
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk, **changed.pop("header", {})}
        claims = {
            "jti": b64(hashlib.sha256(str(time.perf_counter_ns()).encode()).digest()),
            "htm": "GET",
            "htu": bank.world.settings.public_url + bank.path,
            "iat": math.ceil(time.time()),  # in the first second of a gateway an older one is not taken
            "ath": b64(hashlib.sha256(token.encode()).digest()),
            **changed,
        }
        return self.sign(header, {name: value for name, value in claims.items() if value is not None})
