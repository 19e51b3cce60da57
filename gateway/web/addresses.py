"""From where a call comes, as far as it can be believed."""

from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from gateway.settings import Settings

_HOPS = 20  # entries of X-Forwarded-For that are looked at, from the nearest


def client_network(request: HTTPConnection, settings: Settings) -> str:
    """The caller's IPv4 address, or the /64 of the IPv6 one (a home has a whole /64); "" when there is none.

    X-Forwarded-For counts only as far as the settings' `trusted_proxies` wrote it: read from the right,
    the first address that is not one of theirs is the caller. Whatever stands further left, the caller wrote.
    """
    peer = request.client.host if request.client else ""
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-_HOPS:]
    while _trusted(peer, settings) and hops and _is_address(hops[-1].strip()):
        peer = hops.pop().strip()
    return _network(peer)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _trusted(peer: str, settings: Settings) -> bool:
    return _is_address(peer) and any(ip_address(peer) in ip_network(one) for one in settings.trusted_proxies)


def _network(peer: str) -> str:
    if not _is_address(peer):
        return peer
    address = ip_address(peer)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((int(address), 64), strict=False))
    return str(address)
