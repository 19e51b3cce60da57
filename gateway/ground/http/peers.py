"""The address a call really comes from. Only this file reads X-Forwarded-For.

The guard asks `Proxies` once for each request and writes the true peer into the ASGI scope. Other code reads it there.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from gateway.settings import Settings

_HOPS = 20  # entries of X-Forwarded-For that are read, from the nearest proxy on


class Proxies:
    """The `trusted_proxies` of the settings: proxies that are believed about where their requests come from."""

    def __init__(self, settings: Settings) -> None:
        self._networks = tuple(ip_network(network) for network in settings.trusted_proxies)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)

    def caller(self, peer: str, chains: Iterable[str]) -> str:
        """The caller's address. `peer` made the connection; `chains` are the X-Forwarded-For fields, in their order.

        Read from the right, the caller is the first address that is not a trusted proxy's: anything further left may
        be forged by the caller. At an entry that is not an address, the proxy to its right is the result.
        """
        hops = ",".join(chains).split(",")[-_HOPS:]
        while hops and self.trusts(peer) and _address(hop := hops.pop().strip()) is not None:
            peer = hop
        return peer


def client_network(request: HTTPConnection, settings: Settings) -> str:
    """The network of the caller that the guard has found (see `network`). "" if it is not known."""
    return network(request.client.host) if request.client else ""


@lru_cache(maxsize=4096)
def network(peer: str) -> str:
    """The IPv4 address, or the /64 network of an IPv6 address, since one household has a whole /64. A text that is not
    an address is returned as it is."""
    address = _address(peer)
    if address is None:
        return peer
    return str(address) if address.version == 4 else str(ip_network((int(address), 64), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, if `text` is one. ::ffff:192.0.2.1, as sockets for both IP versions write it, is 192.0.2.1."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
