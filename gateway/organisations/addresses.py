"""Which addresses a declaration may contain: one sentence per fault.

This check of a declaration, by the rules of `reach`, only tells the operator early. What protects us is the
connector's check when it connects, because a name can point elsewhere tomorrow.
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from gateway.ground.http.reach import Address, host_in, is_declared, is_public, resolved
from gateway.settings import plain_network

Resolve = Callable[[str], Iterable[str]]  # host → all its addresses; OSError when there are none

# What `networks` may allow. Not link-local addresses: cloud providers serve metadata with credentials there.
PRIVATE = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
)
LOW_PORTS = (80, 443)
# Ports above 1023 of databases and daemons that could take a request for a command.
CLOSED_PORTS = frozenset({2049, 2375, 3306, 5432, 5984, 6379, 9200, 11211, 27017})

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\\]")


def resolve(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def network_fault(text: object) -> str | None:
    """What is wrong with one entry of `networks`."""
    try:
        network = plain_network(str(text))
    except ValueError:
        return f"{text!r} is not a network; write it as 10.1.0.0/16 or ::1/128"
    for private in PRIVATE:
        if network.version == private.version and network.subnet_of(private):  # type: ignore[arg-type]
            return None
    return f"{text} is not inside a private network; public addresses need no entry here"


def base_url_faults(url: str, networks: Iterable[str], look_up: Resolve = resolve) -> Iterator[str]:
    """What is wrong with an organisation's `base_url`. Empty: nothing."""
    if _UNSAFE.search(url):
        yield "it has spaces, control characters, backslashes or letters outside ASCII; write a plain address"
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield "it is not an address; write it as https://api.example.org"
        return
    if parts.scheme not in ("https", "http"):
        yield "only https (or http inside a declared private network) is spoken; write it as https://api.example.org"
        return
    if parts.username is not None or parts.password is not None:
        yield "it carries a user name; credentials belong in client_secret"
    if "?" in url or "#" in url:
        yield "it has a query or a fragment; leave it out"
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", parts.path) or re.search(r"/\.\.?(/|$)", parts.path):
        yield "its path is not plain; write it without a trailing slash, //, . and .. segments"
    if port is not None and (port in CLOSED_PORTS or (port < 1024 and port not in LOW_PORTS)):
        yield f"port {port} is not one that web servers use; take 443 or one above 1023"
    yield from _host_faults(parts, tuple(networks), look_up)


def _host_faults(parts: SplitResult, networks: tuple[str, ...], look_up: Resolve) -> Iterator[str]:
    scheme = parts.scheme
    try:
        host = host_in(parts)
    except ValueError:
        yield f"{parts.hostname or ''!r} is not a host name; write a name, or an IP address in its usual form"
        return
    literal = _literal(host)
    local = host == "localhost" or host.endswith(".localhost")
    if scheme == "https" and literal is None and not local:
        return  # any public name; the connector checks its addresses each time it connects
    if scheme == "https" and literal is not None and is_public(literal):
        return
    try:
        found = [literal] if literal else resolved(look_up(host))
    except OSError:
        yield f"{host} has no address here; check the name"
        return
    private = tuple(text for text in networks if network_fault(text) is None)
    outside = [address for address in found if not is_declared(address, private)]
    if outside or not found:
        rule = "http is only for private networks listed in connection.networks" if scheme == "http" else ""
        yield rule or "it is a private address; list its network in connection.networks if that is meant"


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
