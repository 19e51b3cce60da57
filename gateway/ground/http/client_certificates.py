"""The certificate that a client has shown, as one value in the ASGI scope (RFC 8705).

It comes from the connection, where this gateway ends TLS (`entrance.py`), or from the header of a trusted proxy that
ends it (`guard.py`). Nothing else writes it, and whoever needs it asks `client_certificate`.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.settings import Settings

SCOPE = "aval.client_certificate"  # there with None: the port asks for certificates, and none was shown
Verified = Literal["ca", "registered", "unchecked"]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/]+={0,2}):")  # RFC 9651 §3.3.5
_ENVOY_PAIR = re.compile(rb'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|[^",;]*)(?:;|$)')
# How people and other software write attributes for which RFC 4514 has no name, or whose name it spells otherwise.
_NAMES = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "E": NameOID.EMAIL_ADDRESS,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
    "businessCategory": NameOID.BUSINESS_CATEGORY,
    "jurisdictionC": NameOID.JURISDICTION_COUNTRY_NAME,
}


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate whose key the client holds: that the TLS handshake has proved.

    `thumbprint`: x5t#S256, base64url of the SHA-256 of `der` (RFC 8705 §3.1). `verified`: what is known besides:

    * ca: it leads to one of the CAs of `mtls_ca_file`, or to one of the trusted proxy's. Only these have a subject and
      names that mean something (`tls_client_auth`, RFC 8705 §2.1).
    * registered: byte for byte one that an app has registered. Whose it is, the thumbprint says.
    * unchecked: a proxy has passed it on and does not say that it verifies. As good as a bare key: only the thumbprint
      of a registered certificate, or of the token that is bound to it, says something about it.

    What cannot be read in a certificate is empty, and an empty value is nobody's name.
    """

    der: bytes
    thumbprint: str
    verified: Verified

    @classmethod
    def of(cls, der: bytes, verified: Verified) -> "ClientCertificate":
        return cls(der, thumbprint(der), verified)

    @cached_property
    def subject(self) -> str:
        """As RFC 4514 writes it. To compare, ask `has_subject`: one name has several spellings."""
        try:
            return self._read.subject.rfc4514_string() if self._read else ""
        except ValueError:
            return ""

    def has_subject(self, text: str) -> bool:
        """Whether `text` (RFC 4514) is the subject, in whatever spelling. An empty name is nobody's."""
        try:
            wanted = x509.Name.from_rfc4514_string(text, _NAMES)
            return bool(self._read and wanted.rdns and self._read.subject == wanted)
        except ValueError:
            return False

    @property
    def san_dns(self) -> tuple[str, ...]:
        return self._names["dns"]

    @property
    def san_uri(self) -> tuple[str, ...]:
        return self._names["uri"]

    @property
    def san_ip(self) -> tuple[str, ...]:
        return self._names["ip"]

    @property
    def san_email(self) -> tuple[str, ...]:
        return self._names["email"]

    @cached_property
    def expires(self) -> datetime | None:
        return self._read.not_valid_after_utc if self._read else None

    @cached_property
    def _read(self) -> x509.Certificate | None:
        try:
            return x509.load_der_x509_certificate(self.der)
        except ValueError:
            return None

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        kinds: dict[str, Any] = {"dns": x509.DNSName, "uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name}
        nothing: dict[str, tuple[str, ...]] = dict.fromkeys((*kinds, "ip"), ())
        if self._read is None:
            return nothing
        try:
            san = self._read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            found = {name: tuple(san.get_values_for_type(kind)) for name, kind in kinds.items()}
            return {**found, "ip": tuple(str(each) for each in san.get_values_for_type(x509.IPAddress))}
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            return nothing


def client_certificate(request: Mapping[str, Any]) -> ClientCertificate | None:
    """The certificate that the client of this request has shown; None: it has shown none, or was not asked for one.
    `request`: Starlette's, or the bare ASGI scope."""
    found = request.get(SCOPE)
    return found if isinstance(found, ClientCertificate) else None


def thumbprint(der: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def certificates_of(pem: bytes) -> list[bytes]:
    """The certificates (DER) in a text of PEM, in their order. Raises ValueError if there is none."""
    found = [base64.b64decode(each) for each in _PEM.findall(pem)]
    if not found:
        raise ValueError("there is no certificate in it")
    return found


@lru_cache(maxsize=256)
def from_header(value: bytes, verified: Verified) -> ClientCertificate:
    """What a proxy says in its header: escaped PEM (nginx: $ssl_client_escaped_cert), a byte sequence (RFC 9440), or
    the one element that Envoy sets (x-forwarded-client-cert with Cert). Raises ValueError. Kept, as each app shows the
    same certificate again and again."""
    der = _der(value.strip())
    x509.load_der_x509_certificate(der)
    return ClientCertificate.of(der, verified)


def _der(value: bytes) -> bytes:
    try:
        if sequence := _BYTE_SEQUENCE.fullmatch(value):
            return base64.b64decode(sequence[1], validate=True)
        pem = _PEM.fullmatch(unquote_to_bytes(_of_envoy(value) or value))
        if pem is None:
            raise ValueError("one certificate, in none of the forms that are known")
        return base64.b64decode(b"".join(pem[1].split()), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _of_envoy(value: bytes) -> bytes:
    """The one Cert of x-forwarded-client-cert; empty: that is not what this is, or there are several."""
    found, at = [], 0
    while at < len(value):
        pair = _ENVOY_PAIR.match(value, at)
        if pair is None:  # a comma too: another proxy before that one has said something
            return b""
        at = pair.end()
        if pair[1] == b"Cert":
            found.append(pair[2] or b"")
    return found[0] if len(found) == 1 else b""


def called_at(settings: Settings, request: Mapping[str, Any]) -> str:
    """The public address of the port that a request came to: that of the gateway, or that for client certificates.
    Proofs name it (RFC 9449 §4.3)."""
    return settings.mtls_public_url if SCOPE in request and settings.mtls_public_url else settings.public_url
