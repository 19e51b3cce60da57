"""TLS certificates by which apps prove who they are (RFC 8705 §2): what is registered, and whether the one shown fits.

tls_client_auth               a CA that the operator trusts vouches for the name that the app registered
self_signed_tls_client_auth   the app registered the certificate itself, as `x5c` of a key in its jwks
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from gateway.apps.tables import App
from gateway.errors import Fault
from gateway.ground.http.client_certificates import ClientCertificate
from gateway.ground.store.tables import directory_generation
from gateway.house import House

NAMES = {  # registered (RFC 8705 §2.1.2) → the names of that kind in a certificate
    "tls_client_auth_san_dns": "san_dns",
    "tls_client_auth_san_uri": "san_uri",
    "tls_client_auth_san_ip": "san_ip",
    "tls_client_auth_san_email": "san_email",
}
SUBJECT = "tls_client_auth_subject_dn"
SELF_SIGNED = "self_signed_tls_client_auth"


def faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    method = document["token_endpoint_auth_method"]
    named = [key for key in (SUBJECT, *NAMES) if document.get(key)]
    if method == "tls_client_auth" and len(named) != 1:
        yield Fault(SUBJECT, "says whom the certificate must name", f"write one of {', '.join((SUBJECT, *NAMES))}")
    if method != "tls_client_auth" and named:
        yield Fault(named[0], f"does not belong to {method}", "leave it out")
    if method == SELF_SIGNED and not registered(document):
        yield Fault("jwks", "holds no certificate", "give a key x5c: the app's certificate, base64 of its DER")


def registered(document: Mapping[str, Any]) -> list[bytes]:
    """The certificates in the app's keys, as DER: the first of each `x5c` (RFC 7517 §4.7)."""
    keys = (document.get("jwks") or {}).get("keys", [])
    found = []
    for key in keys:
        chain = key.get("x5c") if isinstance(key, dict) else None
        if isinstance(chain, list) and chain and isinstance(chain[0], str):
            try:
                found.append(base64.b64decode(chain[0], validate=True))
            except binascii.Error:
                continue
    return found


def prove(app: App, shown: ClientCertificate | None) -> bool:
    """Whether the certificate that the caller has shown is this app's."""
    if shown is None:
        return False
    if app.auth_method == SELF_SIGNED:
        return shown.der in registered(app.metadata_)
    if shown.verified != "ca":
        return False
    said = app.metadata_
    if said.get(SUBJECT):
        return shown.has_subject(said[SUBJECT])
    return any(said.get(key) and said[key] in getattr(shown, kind) for key, kind in NAMES.items())


class RegisteredCertificates:
    """The certificates that apps registered themselves, for the port that asks for them. `look` sees now and then
    whether there are others; `generation` changes with them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.generation = 0
        self._seen: object = None

    def look(self) -> bool:
        with self._house.store.read() as session:
            seen = directory_generation(session)
        if seen != self._seen:
            self._seen, self.generation = seen, self.generation + 1
        return False

    def all(self) -> Sequence[bytes]:
        with self._house.store.read() as session:
            return [der for app in _self_signed(session) for der in registered(app.metadata_)]


def _self_signed(session: Session) -> Sequence[App]:
    return session.exec(select(App).where(App.auth_method == SELF_SIGNED, col(App.status) == "active")).all()
