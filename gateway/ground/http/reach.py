"""Which addresses outgoing calls may go to. This is decided when connecting, about the addresses connected to.

Checking the names in a declaration (`addresses`) by the same rules only helps the operator early, because a name can
point elsewhere tomorrow. What counts is the check here: the name is resolved once, *every* address it has must be
permitted, and the connection is made to one of these addresses, never to the name.
"""

import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from gateway.ground.http.connector import ConnectorError
from gateway.ground.pools import Full, Pools

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

DEFAULT_PORT = {"https": 443, "http": 80}
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)")  # resolvers take these for addresses: 127.1, 0x7f.1
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")

# Networks that are not public either, besides those `ipaddress` calls private (IANA special-purpose registries).
_CLOSED_4 = tuple(map(ip_network, ("0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4")))
_PUBLIC_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))  # 6to4: RFC 7526
# IPv6 networks with an IPv4 address in the last 32 bits
_CARRYING = (
    IPv6Network("::ffff:0:0/96"),  # mapped
    IPv6Network("::ffff:0:0:0/96"),  # SIIT
    IPv6Network("64:ff9b::/96"),  # NAT64: on IPv6-only networks every IPv4 host has such an address
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a URL that determines the connection, and the path prefix."""

    secure: bool
    host: str
    port: int
    path: str  # prefix of every path at this organisation; "" if there is none

    @property
    def host_header(self) -> str:
        named = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == DEFAULT_PORT["https" if self.secure else "http"]
        return named if usual else f"{named}:{self.port}"


@lru_cache(maxsize=1024)
def origin(url: str, *, declared: bool = True) -> Origin:
    """Parse a URL to call. `declared`: it comes from the operator, so any port is allowed; otherwise only 80 and 443.

    Raises ConnectorError, whose text names neither host nor port.
    """
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT[parts.scheme] if parts.port is None else parts.port
        host = host_in(parts)
    except (ValueError, KeyError):
        raise _refused("not an address") from None
    odd = any(not "!" <= char <= "~" or char == "\\" for char in url)
    if odd or len(url) > 2000 or "@" in parts.netloc or "?" in url or "#" in url:
        raise _refused("not a plain address")
    if not port or (not declared and port not in DEFAULT_PORT.values()):
        raise _refused("port")
    if declared and not _PLAIN_PATH.fullmatch(parts.path):
        raise _refused("not a plain path")
    return Origin(parts.scheme == "https", host, port, parts.path)


def host_in(parts: SplitResult) -> str:
    """The host of a URL: a name, or an IP address in its usual form, without a zone. Raises ValueError.

    Brackets hold an IPv6 address and nothing else: RFC 3986 §3.2.2 leaves room in them for later kinds of address.
    """
    text = parts.hostname or ""
    if "[" in parts.netloc:
        return str(_unzoned(IPv6Address(text)))
    try:
        return str(IPv4Address(text))
    except ValueError:
        pass
    if _NUMERIC_END.fullmatch(text) or not _NAME.fullmatch(text) or len(text) > 253:
        raise ValueError("host")
    return text


def carried(address: Address) -> Address:
    """The IPv4 address inside a mapped or translated IPv6 address; any other address unchanged."""
    if isinstance(address, IPv6Address) and any(address in network for network in _CARRYING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    address = carried(address)
    if isinstance(address, IPv4Address):
        closed = any(address in network for network in _CLOSED_4)
        return address.is_global and not address.is_multicast and not closed
    return address in _PUBLIC_6 and address.is_global and not any(address in network for network in _CLOSED_6)


def is_declared(address: Address, networks: tuple[str, ...]) -> bool:
    address = carried(address)
    return any(address in ip_network(network) for network in networks)  # False across IP versions


def resolver(pools: Pools) -> Resolve:
    """The system's name resolver. A slow name only delays calls to the same host (see `gateway.ground.pools`)."""

    async def look_up(host: str, port: int) -> list[str]:
        work = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await pools.share("name", host, port, work)
        except Full:
            raise ConnectorError("organisation_unavailable", "name under way") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    return look_up


async def addresses(where: Origin, networks: tuple[str, ...], look_up: Resolve) -> list[str]:
    """The addresses of an origin, checked. If one of them is not permitted, none is used.

    Plain http is only allowed into a declared private network: anywhere else others could read the person's data on
    the way. Raises ConnectorError.
    """
    try:
        found = [ip_address(where.host)]
    except ValueError:
        try:
            found = resolved(await look_up(where.host, where.port))
        except OSError:
            raise ConnectorError("organisation_unavailable", "name has no address") from None
    for address in found:
        if is_declared(address, networks) or (where.secure and is_public(address)):
            continue
        raise _refused("address")
    if not found:
        raise ConnectorError("organisation_unavailable", "name has no address")
    return [str(address) for address in found]


def resolved(texts: Iterable[str]) -> list[Address]:
    """What a resolver answered, as addresses. Raises OSError when something in it is none."""
    try:
        return [ip_address(text.split("%")[0]) for text in texts]
    except ValueError:
        raise OSError("the name server's answer is not an address") from None


def _unzoned(address: IPv6Address) -> IPv6Address:
    if address.scope_id is not None:
        raise ValueError("zone")  # of this machine's own links: no address of an organisation
    return address


def _refused(what: str) -> ConnectorError:
    return ConnectorError("organisation_unavailable", f"refused by the guard: {what}")
