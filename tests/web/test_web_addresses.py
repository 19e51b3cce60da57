"""From where a call comes: only what our own proxies say is believed."""

import asyncio
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from gateway.ground.http.guard import Guarded
from gateway.ground.http.peers import client_network
from gateway.settings import Settings


def _from(peer: str, *forwarded: str, trusted: tuple[str, ...] = ()) -> str:
    """The network a door sees behind the guard."""
    settings, seen = Settings(trusted_proxies=trusted), []

    async def door(scope: Any, _receive: Any, _send: Any) -> None:
        assert not [name for name, _ in scope["headers"] if name == b"x-forwarded-for"]
        seen.append(client_network(HTTPConnection(scope), settings))

    headers = [(b"host", settings.host_header.encode())]
    headers += [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "method": "GET", "http_version": "1.1", "path": "/", "raw_path": b"/", "query_string": b""}
    asyncio.run(
        Guarded(door, settings)({**scope, "headers": headers, "client": (peer, 1) if peer else None}, None, None)
    )
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "seen"),
    [
        ("203.0.113.9", (), (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), (), "203.0.113.9"),
        ("10.0.0.2", ("198.51.100.1",), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("1.1.1.1, 198.51.100.1, 10.0.0.3",), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("1.1.1.1", "198.51.100.1"), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("forged nonsense",), ("10.0.0.0/8",), "10.0.0.2"),
        ("10.0.0.2", ("",), ("10.0.0.0/8",), "10.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", (), (), "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", (), (), "203.0.113.9"),
        ("", (), (), ""),
        ("::ffff:10.0.0.2", ("198.51.100.1",), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("198.51.100.1, ::ffff:10.0.0.3",), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("forged nonsense, 10.0.0.3",), ("10.0.0.0/8",), "10.0.0.3"),
        ("10.0.0.2", ("198.51.100.1, ",), ("10.0.0.0/8",), "10.0.0.2"),
        ("10.0.0.2", ("unknown",), ("10.0.0.0/8",), "10.0.0.2"),
        ("10.0.0.2", ("10.0.0.9, 10.0.0.8",), ("10.0.0.0/8",), "10.0.0.9"),
        ("10.0.0.2", ("198.51.100.7, 198.51.100.1",), ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.2", ("198.51.100.1" + ", 10.0.0.3" * 40,), ("10.0.0.0/8",), "10.0.0.3"),
        ("10.0.0.2", ("2001:db8:1:2::9",), ("10.0.0.0/8",), "2001:db8:1:2::/64"),
        ("fd00::1", ("203.0.113.9",), ("fd00::/8",), "203.0.113.9"),
    ],
)
def test_where_a_call_comes_from(peer: str, forwarded: tuple[str, ...], trusted: tuple[str, ...], seen: str) -> None:
    assert _from(peer, *forwarded, trusted=trusted) == seen
