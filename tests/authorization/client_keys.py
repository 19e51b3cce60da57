"""Keys of clients, and what they sign with them. Signatures are made by hand, apart from the code that reads them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    if not isinstance(data, bytes):
        data = (data if isinstance(data, str) else json.dumps(data)).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size):
    return b64(value.to_bytes(size, "big"))


class EC:
    def __init__(self, kid="ec"):
        self.key, self.kid = ec.generate_private_key(ec.SECP256R1()), kid

    @property
    def jwk(self):
        point = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": number(point.x, 32), "y": number(point.y, 32)}

    def sign(self, message):
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class RSA:
    key = rsa.generate_private_key(65537, 2048)

    @property
    def jwk(self):
        public = self.key.public_key().public_numbers()
        return {"kty": "RSA", "kid": "rsa", "n": number(public.n, 256), "e": "AQAB"}

    def sign(self, message):
        return self.key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


class OKP:
    key = ed25519.Ed25519PrivateKey.generate()

    @property
    def jwk(self):
        return {"kty": "OKP", "crv": "Ed25519", "kid": "okp", "x": b64(self.key.public_key().public_bytes_raw())}

    def sign(self, message):
        return self.key.sign(message)


COUNT = iter(range(1_000_000))
NEVER: Any = object()
KEYS = {"ES256": EC(), "PS256": RSA(), "EdDSA": OKP(), "Ed25519": OKP()}


def jws(claims: Any, header: Mapping[str, Any], alg: str = "ES256", signer: Any = None) -> str:
    """A compact JWS; a header member that is None is left out."""
    signer = signer or KEYS[alg]
    head = {name: value for name, value in {"alg": alg, **header}.items() if value is not None}
    message = f"{b64(head)}.{b64(claims)}"
    return f"{message}.{b64(signer.sign(message.encode()))}"


def thumbprint(key: Any) -> str:
    members = {name: value for name, value in sorted(key.jwk.items()) if name in ("crv", "kty", "x", "y", "e", "n")}
    return b64(hashlib.sha256(str(members).replace("'", '"').replace(" ", "").encode()).digest())


def proof(
    world: Any, path: str = "/token", alg: str = "ES256", key: Any = None, header: Any = None, **changes: Any
) -> str:
    """A DPoP proof for a POST to `path`, with changes; NEVER leaves a claim out."""
    key = key or KEYS[alg]
    said = {
        "jti": f"a proof {next(COUNT)}",
        "htm": "POST",
        "htu": world.house.settings.public_url + path,
        "iat": int(world.clock.now.timestamp()),
        **changes,
    }
    said = {name: value for name, value in said.items() if value is not NEVER}
    jwk = {name: value for name, value in key.jwk.items() if name != "kid"}
    return jws(said, {"typ": "dpop+jwt", "jwk": jwk, **(header or {})}, alg, key)
