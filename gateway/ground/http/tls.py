"""TLS on the gateway's own ports (BCP 195, RFC 9325): how it is spoken, and whose client certificates are believed.

A context is made again when what it is made of changes, and serves the connections that come from then on. What is new
and cannot be used is passed over: the context before it goes on.

Client certificates of two kinds are believed on the port for mutual TLS: those that lead to a CA of `mtls_ca_file`, and
those that apps have registered, which mostly have signed themselves. OpenSSL knows one set of trust anchors for both.
So a registered certificate that may sign others would be a CA there, and its owner could make a certificate in any
name. Therefore it is looked to which anchor a chain led: only a CA of the file makes a certificate one of a CA's, and
of the registered ones only they themselves are believed.

And OpenSSL finds an issuer by its name and the identifier of its key, and tries no second one: a registered certificate
that claims both would shut out all whose issuer it mimics. So one is left out that has not signed itself, or is in the
name of a CA of the file; and where there are CAs, one whose identifier was not made from its own key.
"""

import asyncio
import hashlib
import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.ground.http.client_certificates import ClientCertificate, Verified, certificates_of, thumbprint
from gateway.settings import Settings

# RFC 9325 §4.2; TLS 1.3 has its own, which are all right.
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
AGAIN_SECONDS = 1.0  # so long after a fault until the same is tried again
REMEMBERED = 20_480  # sessions that OpenSSL keeps for one context

_logger = logging.getLogger("gateway.http")
Stamp = tuple[object, ...]
Name = tuple[frozenset[tuple[str, str]], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Registered:
    """The certificates that apps have registered for `self_signed_tls_client_auth` (RFC 8705 §2.2).

    `generation` changes whenever `certificates` would give others; it is asked for each new connection, on the event
    loop, and must neither wait nor fail. `certificates` (DER) is called in a thread, and may wait and fail: those known
    before are believed until it succeeds. One is passed over that is none, has not signed itself, has the name of a CA,
    or, where there are CAs, has no subject key identifier that is a hash of its key.
    """

    generation: Callable[[], int]
    certificates: Callable[[], Sequence[bytes]]


NOBODY = Registered(lambda: 0, tuple)


class NotBelieved(Exception):
    """A certificate that OpenSSL has accepted and that is nobody's. The connection ends."""


class Renewing(Generic[T]):
    """Something made of files and the like, and made again when `stamp` changes. For one event loop.

    `make` raises OSError or ValueError. At the beginning nothing catches it.
    """

    def __init__(self, what: str, make: Callable[[], T], stamp: Callable[[], Stamp]) -> None:
        self._what, self._make, self._stamp = what, make, stamp
        self._stamped = stamp()
        self._made = make()
        self._lock = asyncio.Lock()
        self._failed_at = 0.0  # monotonic
        self._fault = ""

    def fault(self) -> str:
        """Why what is there now is not used; empty: it is."""
        return self._fault

    async def current(self) -> T:
        if self._due(self._stamp()):
            async with self._lock:
                if self._due(stamp := self._stamp()):  # it was not done while we waited
                    await self._renew(stamp)
        return self._made

    def _due(self, stamp: Stamp) -> bool:
        again = bool(self._fault) and time.monotonic() - self._failed_at > AGAIN_SECONDS
        return stamp != self._stamped or again

    async def _renew(self, stamp: Stamp) -> None:
        told = stamp == self._stamped and bool(self._fault)
        try:
            self._made = await asyncio.to_thread(self._make)
        except Exception as error:  # whatever it is: connections are served as before
            self._fault, self._failed_at = why(error), time.monotonic()
            if not told:
                _logger.warning("%s: the new one cannot be used, and the old one goes on: %s", self._what, self._fault)
        else:
            self._fault = ""
            _logger.info("%s: renewed", self._what)
        self._stamped = stamp


def why(error: Exception) -> str:
    """In words that hold nothing of a file's content."""
    if isinstance(error, ssl.SSLError):
        return {"KEY_VALUES_MISMATCH": "the key is not that of the certificate"}.get(
            error.reason or "", f"not a certificate and its key in PEM ({error.reason or 'no reason given'})"
        )
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or 'cannot be read'}"
    return str(error) if isinstance(error, ValueError) else type(error).__name__


def stamps(*paths: Path | None) -> Stamp:
    """Another one when a file was changed or replaced, also behind a link."""
    found: list[object] = []
    for path in paths:
        try:
            state = os.stat(path) if path else None
        except OSError:
            state = None
        found.append(state and (state.st_ino, state.st_mtime_ns, state.st_size))
    return tuple(found)


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Of a server that asks for no certificate. Raises OSError, of which ssl.SSLError is one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(":".join(SUITES))
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    for file in (certificate, key):
        file.open("rb").close()  # OpenSSL would not say which of them is missing
    made.load_cert_chain(certificate, key, password=_nobody_is_asked)
    return made


def _nobody_is_asked() -> str:
    """For the password of a key: OpenSSL would ask the terminal."""
    return ""


@dataclass(frozen=True)
class Mutual:
    """The context that asks for certificates, and what tells whose they are."""

    context: ssl.SSLContext
    cas: frozenset[bytes]
    registered: frozenset[bytes]
    _seen: dict[str, Verified]  # thumbprint → what a whole handshake has found: a resumed session has no chain

    @classmethod
    def of(cls, made: ssl.SSLContext, cas: Sequence[bytes], registered: Sequence[bytes]) -> "Mutual":
        made.verify_mode = ssl.CERT_OPTIONAL
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an anchor need not have signed itself
        made.options |= ssl.OP_NO_TICKET
        made.num_tickets = 0
        for each in cas:
            made.load_verify_locations(cadata=each)
        taken = {name for each in cas for name in _names(each)}
        theirs = [each for each in registered if _is_alone(each, taken) and _is_loaded(made, each)]
        return cls(made, frozenset(cas), frozenset(theirs), {})

    def shown(self, tls: ssl.SSLObject) -> ClientCertificate | None:
        """What a client has shown whose handshake is done; None: nothing. Raises NotBelieved."""
        der = tls.getpeercert(binary_form=True)
        if der is None:
            return None
        verified = self._verified(tls, der)
        if verified is None:
            raise NotBelieved
        return ClientCertificate.of(der, verified)

    def _verified(self, tls: ssl.SSLObject, der: bytes) -> Verified | None:
        print_ = thumbprint(der)
        if tls.session_reused:
            return None if _has_ended(tls) else self._seen.get(print_)
        chain = _chain(tls)
        found: Verified | None = None
        if chain and chain[-1] in self.cas:
            found = "ca"
        elif der in self.registered:
            found = "registered"
        if found:
            while len(self._seen) >= REMEMBERED:
                self._seen.pop(next(iter(self._seen)))
            self._seen[print_] = found
        return found


def _is_alone(der: bytes, taken: set[Name]) -> bool:
    """Whether OpenSSL can take it for the issuer of none but itself. `taken`: the names of the CAs."""
    names = _names(der)
    return len(set(names)) == 1 and names[0] not in taken and (not taken or _identifies_itself(der))


def _identifies_itself(der: bytes) -> bool:
    """Whether its subject key identifier is a hash of its key, as RFC 5280 §4.2.1.2 and RFC 7093 §2 make them."""
    try:
        found = x509.load_der_x509_certificate(der)
        given = found.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        key = found.public_key()
        whole = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        own = x509.SubjectKeyIdentifier.from_public_key(key).digest  # SHA-1 of the bits of the key
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
    return given in (own, hashlib.sha1(whole).digest(), hashlib.sha256(whole).digest())


def _names(der: bytes) -> list[Name]:
    """(subject, issuer), so that two names that are one for OpenSSL are equal; empty: they cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        return [_plain(found.subject), _plain(found.issuer)]
    except ValueError:
        return []


def _plain(name: x509.Name) -> Name:
    """OpenSSL compares without regard to capitals and blanks (X509_NAME_cmp(3)); more may be equal here, not less."""
    parts = [frozenset((each.oid.dotted_string, _folded(each.value)) for each in rdn) for rdn in name.rdns]
    return tuple(parts)


def _folded(value: str | bytes) -> str:
    return " ".join(str(value).casefold().split())


def _is_loaded(made: ssl.SSLContext, der: bytes) -> bool:
    """One that is no certificate must not be in the way of all others."""
    try:
        made.load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _chain(tls: Any) -> list[bytes]:
    """From the client's certificate to the anchor (DER), as OpenSSL has verified it."""
    if sys.version_info >= (3, 13):
        return list(tls.get_verified_chain())
    # Before, the same function stood there under a private name.
    found = tls._sslobj.get_verified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in found]


def _has_ended(tls: ssl.SSLObject) -> bool:
    """Nothing of a certificate is verified again when its session goes on."""
    ends = (tls.getpeercert() or {}).get("notAfter")
    return not isinstance(ends, str) or ssl.cert_time_to_seconds(ends) < time.time()


def plain_port(settings: Settings) -> Renewing[ssl.SSLContext]:
    """For the port on which nobody is asked for a certificate. Raises OSError."""
    certificate, key = _files(settings)
    return Renewing("TLS certificate", lambda: context(certificate, key), lambda: stamps(certificate, key))


def mutual_port(settings: Settings, registered: Registered = NOBODY) -> Renewing[Mutual]:
    """For the port on which everybody is asked. Raises OSError, or ValueError of `mtls_ca_file`."""
    (certificate, key), ca = _files(settings), settings.mtls_ca_file

    def make() -> Mutual:
        return Mutual.of(context(certificate, key), authorities(ca) if ca else (), registered.certificates())

    return Renewing("mutual TLS", make, lambda: (*stamps(certificate, key, ca), registered.generation()))


def authorities(file: Path) -> list[bytes]:
    """The CAs (DER) of a file of PEM. Raises OSError or ValueError."""
    try:
        return certificates_of(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _files(settings: Settings) -> tuple[Path, Path]:
    assert settings.tls_certificate_file and settings.tls_key_file
    return settings.tls_certificate_file, settings.tls_key_file
