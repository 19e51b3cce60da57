"""Which redirect addresses an app may register, and whether the one in a request is registered.

They are compared as exact strings (RFC 9700 §2.1, §4.1). Only the port may differ, and only for a native
app on the loopback interface (RFC 8252 §7.3).
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1")
MAX_LENGTH = 500
# The characters of RFC 3986, without those that have a meaning in HTML or in header fields.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&()*+,;=%]+")
_REVERSE_DOMAIN = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # RFC 8252 §7.1: com.example.app
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def fault(uri: object, *, native: bool) -> str | None:
    """What is wrong with an address to register; None: nothing."""
    if not isinstance(uri, str) or not uri or len(uri) > MAX_LENGTH or not _PLAIN.fullmatch(uri):
        return "write one address of plain ASCII, without fragment, spaces or quotes"
    try:
        parts = urlsplit(uri)
        port_is_fine = parts.port != 0
    except ValueError:
        return "write one address with a valid host and port"
    if "@" in parts.netloc:
        return "leave out the name and password before the host"
    if "*" in uri:
        return "write the whole address; wildcards are not allowed"
    if any(segment in (".", "..") for segment in re.sub("%2e", ".", parts.path, flags=re.IGNORECASE).split("/")):
        return "leave out . and .. in the path"
    if parts.scheme in ("http", "https"):
        return _web_fault(parts.scheme, parts.hostname or "", uri) if port_is_fine else "write a port from 1 to 65535"
    return _scheme_fault(parts.scheme, uri, native)


def _web_fault(scheme: str, host: str, uri: str) -> str | None:
    if not uri.startswith(f"{scheme}://") or not host:
        return "write scheme and host in lower case, as in https://app.example/callback"
    if urlsplit(uri).netloc != urlsplit(uri).netloc.lower():
        return "write the host in lower case"
    if scheme == "http" and host not in (*LOOPBACK, "localhost"):
        return "use https; http is for 127.0.0.1, [::1] and localhost only"
    if host != "::1" and not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return "write a host name of a-z, 0-9, - and dots (international names as xn--…)"
    return None


def _scheme_fault(scheme: str, uri: str, native: bool) -> str | None:
    if not _REVERSE_DOMAIN.fullmatch(scheme):
        return "use https, or the reversed domain of a native app, as in com.example.app:/callback"
    if not native:
        return 'use https; a scheme of its own needs application_type = "native"'
    if not re.fullmatch(re.escape(scheme) + r":/{1,3}[^/].*", uri):
        return f"write it as {scheme}:/callback"
    return None


def matches(asked: str, registered: Iterable[str], *, native: bool) -> bool:
    """Whether `asked` is one of the registered addresses, byte for byte (port apart, for native loopback)."""
    known = list(registered)
    if asked in known:
        return True
    if not native:
        return False
    without_port = _loopback_without_port(asked)
    return without_port is not None and any(without_port == _loopback_without_port(uri) for uri in known)


_LOOPBACK_URI = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[^#\s\\@]*)?")


def _loopback_without_port(uri: str) -> tuple[str, str] | None:
    found = _LOOPBACK_URI.fullmatch(uri)
    if not found or not _PLAIN.fullmatch(uri) or not 0 < int(found[2] or 80) < 65536:
        return None
    return found[1], found[3] or ""


def place(uri: str) -> str:
    """The address as people are told it before they go there: its host, or the scheme of a native app."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"{parts.scheme}:"
