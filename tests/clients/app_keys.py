"""What an app proves itself with: private keys as JWK, and certificates."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.proxy.certificates import Root

PEM = serialization.Encoding.PEM


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK."""
    if algorithm == "PS256":
        made: Any = RSAKey.import_key(_pem(rsa.generate_private_key(65537, 2048)))
    elif algorithm == "Ed25519":
        made = OKPKey.import_key(_pem(ed25519.Ed25519PrivateKey.generate()))
    else:
        made = ECKey.import_key(_pem(ec.generate_private_key(ec.SECP256R1())))
    return {**made.as_dict(private=True), "kid": "one", "alg": algorithm}


def public(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "x5c") if name in key}


def signed_certificate(root: Root, name: str) -> dict[str, str]:
    """Of the test's own authority, in PEM; its subject is CN=name."""
    certificate, key = root.gives(name)
    return {"certificate": certificate.read_text(), "certificate_key": key.read_text()}


def own_certificate(name: str) -> dict[str, str]:
    """One that nobody else has signed, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return {"certificate": made.public_bytes(PEM).decode(), "certificate_key": _pem(key).decode()}


def jwk_of(certificate: str) -> dict[str, Any]:
    """The public key of a certificate with the certificate itself (RFC 8705 §2.2.2, RFC 7517 §4.7)."""
    read = x509.load_pem_x509_certificate(certificate.encode())
    key = ECKey.import_key(read.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    der = base64.b64encode(read.public_bytes(serialization.Encoding.DER)).decode()
    return {**key.as_dict(private=False), "kid": "certificate", "alg": "ES256", "x5c": [der]}


def _pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made
