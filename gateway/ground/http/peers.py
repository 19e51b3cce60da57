"""Where a call comes from, as far as it can be believed: the one reader of X-Forwarded-For.

The guard asks `Proxies` once for each request and writes the true peer into the ASGI scope; all others read it there.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from gateway.settings import Settings

_HOPS = 20  # entries of X-Forwarded-For that are looked at, from the nearest


class Proxies:
    """The settings' `trusted_proxies`: those whose word about the hop before them is taken."""

    def __init__(self, settings: Settings) -> None:
        self._networks = tuple(ip_network(network) for network in settings.trusted_proxies)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)

    def caller(self, peer: str, chains: Iterable[str]) -> str:
        """Who called, when `peer` made the connection and `chains` are the X-Forwarded-For fields, in their order.

        Read from the right, the first address that is not of a trusted proxy; whatever stands further left, the
        caller wrote. What is no address ends the reading: then it is the last proxy that is known.
        """
        hops = ",".join(chains).split(",")[-_HOPS:]
        while hops and self.trusts(peer) and _address(hop := hops.pop().strip()) is not None:
            peer = hop
        return peer


def client_network(request: HTTPConnection, settings: Settings) -> str:
    """The place a request comes from, as the guard has found it: see `network`. "" when there is none."""
    return network(request.client.host) if request.client else ""


def network(peer: str) -> str:
    """The IPv4 address, or the /64 of an IPv6 one: a home has a whole /64. What is no address stays as it is."""
    address = _address(peer)
    if address is None:
        return peer
    return str(address) if address.version == 4 else str(ip_network((int(address), 64), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """::ffff:192.0.2.1, as sockets for both families write it, is 192.0.2.1."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
