"""What the gateway shows and trusts when it makes a TLS connection: nothing of its own, or a certificate (mutual TLS).

The files of a certificate are replaced while the gateway runs, one after the other. A pair that does not fit, or is not
whole yet, is passed over: the pair before it serves until the files can be used.
"""

import os
import ssl

from gateway.ground.http.connector import ConnectorError, TlsFiles

Stamps = tuple[tuple[int, int, int], ...]


def context(ca_file: str = "") -> ssl.SSLContext:
    """Trusts whom the system trusts and, where one is named, `ca_file`. Shows nothing. Raises OSError."""
    made = ssl.create_default_context()
    if ca_file:
        made.load_verify_locations(ca_file)
    made.set_alpn_protocols(["http/1.1"])
    return made


def showing(files: TlsFiles, ca_file: str = "") -> ssl.SSLContext:
    """The same with the certificate. A `ca` of its own is the only one trusted. Raises OSError (also ssl.SSLError)."""
    made = ssl.create_default_context(cafile=files.ca) if files.ca else context(ca_file)
    made.set_alpn_protocols(["http/1.1"])
    made.load_cert_chain(files.certificate, files.key, password=_nobody_is_asked)
    return made


def _nobody_is_asked() -> str:
    """OpenSSL would ask the terminal."""
    return ""


class Shown:
    """The context with one organisation's certificate, made again when a file has changed. For the event loop."""

    def __init__(self, files: TlsFiles, ca_file: str) -> None:
        self._files, self._ca_file = files, ca_file
        self._made: ssl.SSLContext | None = None
        self._stamps: Stamps = ()

    def changed(self) -> bool:
        """Whether the files are others than those in use, and can be used. They are from now on."""
        stamps = self._read()
        if not stamps or stamps == self._stamps:
            return False
        try:
            made = showing(self._files, self._ca_file)
        except OSError:
            return False
        self._made, self._stamps = made, stamps
        return True

    def context(self) -> ssl.SSLContext:
        """Raises ConnectorError when the files never could be used."""
        self.changed()
        if self._made is None:
            raise ConnectorError("organisation_unavailable", "the certificate cannot be used")
        return self._made

    def _read(self) -> Stamps:
        """Empty: one of the files is not there."""
        names = [name for name in (self._files.certificate, self._files.key, self._files.ca) if name]
        try:
            found = [os.stat(name) for name in names]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
