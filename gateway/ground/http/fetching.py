"""Addresses that apps have given us: keys, documents, where to tell them something. One guarded way to call them.

It is the connector's (no redirect, the address pinned after one resolution, limits of size and time), and stricter:
https on the usual port only, but where a private network is opened by `outbound_networks`, as a test run does. Each
host has a pool and a breaker of its own, so that a slow one holds up nobody else.
"""

import zlib
from urllib.parse import urlsplit

from gateway.ground.http import reach
from gateway.ground.http.connector import Connector, ConnectorError, Headers, OutboundRequest, Target
from gateway.settings import Settings

TIMEOUT_SECONDS = 5.0
CALLS_AT_ONCE = 4
PARTIES = 16


def fetch(connector: Connector, settings: Settings, url: str, limit: int, accept: str = "application/json") -> bytes:
    """The body of a GET that was answered with 200. For threads of a pool.

    Raises ConnectorError, whose words name neither host nor body.
    """
    return fetched(connector, settings, url, limit, accept)[1]


def fetched(
    connector: Connector, settings: Settings, url: str, limit: int, accept: str = "application/json"
) -> tuple[Headers, bytes]:
    """The same with the fields of the answer, their names in lower case."""
    status, fields, body = _ask(connector, settings, url, "GET", [(b"accept", accept.encode())], b"", limit)
    if status != 200:
        raise ConnectorError("organisation_refused", f"status {status}")
    return fields, body


def party(url: str) -> str:
    """For the duty "app" of the pools: few parties, however many hosts apps name, and a host is always of one."""
    return str(zlib.crc32((urlsplit(url).hostname or "").encode()) % PARTIES)


def post(
    connector: Connector,
    settings: Settings,
    url: str,
    body: bytes,
    media_type: str,
    headers: Headers,
    limit: int = 65536,
) -> tuple[int, bytes]:
    """Status and body of the answer. For threads of a pool. Raises ConnectorError."""
    fields = [(b"content-type", media_type.encode()), (b"accept", b"application/json"), *headers]
    status, _, answer = _ask(connector, settings, url, "POST", fields, body, limit)
    return status, answer


def fault(url: str, settings: Settings) -> str:
    """What is wrong with an address to call; "": nothing, as far as can be said before it is resolved."""
    try:
        _target(url, settings)
    except ConnectorError:
        return "write an address as https://host/path, without port, fragment, name or password"
    return ""


def _ask(
    connector: Connector, settings: Settings, url: str, method: str, headers: Headers, body: bytes, limit: int
) -> tuple[int, Headers, bytes]:
    target, path = _target(url, settings)
    return connector.ask(OutboundRequest(target, method, path, headers, body), limit)


def _target(url: str, settings: Settings) -> tuple[Target, str]:
    """Raises ConnectorError for an address that is not called, whatever it resolves to."""
    try:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        raise ConnectorError("organisation_unavailable", "not an address") from None
    opened = bool(settings.outbound_networks)
    found = reach.origin(base, declared=opened)
    odd = any(not "!" <= char <= "~" or char in '\\"<>' for char in url) or len(url) > 2000
    if odd or "#" in url or (not found.secure and not opened):
        raise ConnectorError("organisation_unavailable", "not a plain https address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(
        organisation=f"app:{parts.netloc}",
        base_url=base,
        networks=settings.outbound_networks,
        timeout_seconds=TIMEOUT_SECONDS,
        max_calls=CALLS_AT_ONCE,
    )
    return target, path
