"""An OpenID Connect issuer on loopback. Tests change what it says."""

import hashlib
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.ground.keys.jose import encoded
from tests.proxy.clerk import Clerk, Said, Sent, basic
from tests.proxy.connected_world import Person, query_of

SECRETS = {"SECRET": "s", "SIGN_IN_SECRET": "canary-of-the-sign-in"}
ES, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
RS, SHORT = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 1024)
OTHER = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, Any] = {"ES256": ES, "EdDSA": ED, "RS256": RS, "PS256": RS}


TIMES = ("iat", "exp", "nbf")  # which tests give in seconds from now


def public(key: Any, kid: str) -> dict[str, Any]:
    algorithm = (
        jwt.algorithms.ECAlgorithm
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else jwt.algorithms.OKPAlgorithm
    )
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


@dataclass
class Issuer:
    """Signs people in. Tests change what it says."""

    clerk: Clerk
    customer: Any = "HB-1"
    algorithm: str = "ES256"
    key: Any = None
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] | None = None
    asked: dict[str, str] = field(default_factory=dict)  # of the last authorization request

    def __post_init__(self) -> None:
        self.clerk.also |= {"/token": self.token, "/jwks": self.jwks}

    def signs_in(self, alice: Person, **more: str) -> Any:
        """Her browser goes there and comes back."""
        self.asked = query_of(alice.leaves())
        return alice.comes_back(self.asked["state"], **more)

    def jwks(self, sent: Sent) -> Said:
        own = [public(ES, "es"), public(ED, "ed"), public(RS, "rs")]
        return 200, {"keys": own if self.keys is None else self.keys}

    def token(self, sent: Sent) -> Said:
        if not basic("aval", SECRETS["SIGN_IN_SECRET"])(sent):
            return 401, {"error": "invalid_client", "error_description": repr(sent)}
        challenge = encoded(hashlib.sha256(sent.form["code_verifier"].encode()).digest())
        if sent.form["code"] != "the-code" or challenge != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.clerk.url,
            "aud": "aval",
            "sub": "someone",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked["nonce"],
            "customer_number": self.customer,
            **{
                name: now + value if name in TIMES and type(value) is int else value
                for name, value in self.claims.items()
            },
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.key or KEYS[self.algorithm]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are too short
            signed = jwt.encode(claims, key, self.algorithm, {"kid": self.algorithm[:2].lower(), **self.header})
        return 200, {"access_token": "canary-access", "token_type": "Bearer", "id_token": signed, **self.more}
