"""What `aval doctor` says of the certificate that the gateway shows, and of the CAs whose client certificates it
believes."""

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from gateway.cli.check import Check
from gateway.ground.http import tls
from gateway.settings import Settings

ENDS_SOON = timedelta(days=14)  # whoever renews by machine does so before
RENEW = "put a new one into its place; it is read without a restart"


def checks(using: Settings, now: datetime) -> Iterator[Check]:
    """Nothing where no port speaks TLS."""
    if using.speaks_tls:
        assert using.tls_certificate_file and using.tls_key_file
        for path, mode in open_key_file(using):
            yield Check("tls key", "fail", f"{path} is open to other users", f"chmod {mode} {path}")
        yield from _certificate(using, using.tls_certificate_file, using.tls_key_file, now)
    if using.mtls_port and using.mtls_ca_file:
        yield _authorities(using.mtls_ca_file, now)


def open_key_file(using: Settings) -> Iterator[tuple[Path, str]]:
    """(path, what to change of its mode), if every user of the machine can read it. A group may: on many machines one
    reads the keys of all certificates."""
    file = using.tls_key_file
    if file and file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o007:
        yield file, "o="


def _certificate(using: Settings, certificate: Path, key: Path, now: datetime) -> Iterator[Check]:
    try:
        tls.context(certificate, key)
        found = x509.load_der_x509_certificate(tls.authorities(certificate)[0])
    except (OSError, ValueError) as error:
        do = "name PEM files of a certificate and its key that the gateway's user can read"
        yield Check("tls certificate", "fail", f"{certificate}, {key}: {tls.why(error)}", do)
        return
    faults = [*_times("tls certificate", found, now)]
    for setting in ("public_url", "mtls_public_url" if using.mtls_port else ""):
        host = urlsplit(getattr(using, setting)).hostname if setting else None
        if host and not names(found, host):
            told = f"{certificate} is for {', '.join(_names(found)) or 'no name'}, and not for {setting} ({host})"
            faults.append(Check("tls certificate", "fail", told, f"ask for one with the name {host} in it"))
    yield from faults or [Check("tls certificate", "ok", f"ends {found.not_valid_after_utc:%Y-%m-%d}")]


def _times(name: str, found: x509.Certificate, now: datetime) -> Iterator[Check]:
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    if now < begins:
        yield Check(name, "fail", f"is valid from {begins:%Y-%m-%d %H:%M} UTC on only", "set the clock right, or wait")
    if ends < now:
        yield Check(name, "fail", f"ended on {ends:%Y-%m-%d %H:%M} UTC", RENEW)
    elif ends - now < ENDS_SOON:
        yield Check(name, "warn", f"ends on {ends:%Y-%m-%d %H:%M} UTC", RENEW)


def names(found: x509.Certificate, host: str) -> bool:
    """Whether a client that looks for this host takes the certificate (RFC 9525 §6.3): no common name, and a wildcard
    only in place of the first label."""
    parent = "*." + host.lower().partition(".")[2]
    return any(name.lower() in (host.lower(), parent) for name in _names(found))


def _names(found: x509.Certificate) -> list[str]:
    try:
        san = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return []
    return [*san.get_values_for_type(x509.DNSName), *map(str, san.get_values_for_type(x509.IPAddress))]


def _authorities(file: Path, now: datetime) -> Check:
    try:
        found = [x509.load_der_x509_certificate(each) for each in tls.authorities(file)]
    except (OSError, ValueError) as error:
        do = "name a PEM file of CA certificates that the gateway's user can read"
        return Check("mtls_ca_file", "fail", tls.why(error), do)
    ended = [each for each in found if each.not_valid_after_utc < now]
    if ended:
        told = f"{len(ended)} of {len(found)} CAs have ended: no certificate of theirs is believed"
        return Check("mtls_ca_file", "warn", told, f"put their successors into {file}")
    return Check("mtls_ca_file", "ok", f"{len(found)} CAs" if len(found) > 1 else "1 CA")
