"""From where a call comes: only what our own proxies say is believed."""

import pytest
from starlette.requests import HTTPConnection

from gateway.settings import Settings
from gateway.web.addresses import client_network


def _from(peer: str, *forwarded: str, trusted: tuple[str, ...] = ()) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "headers": headers, "client": (peer, 1) if peer else None}
    return client_network(HTTPConnection(scope), Settings(trusted_proxies=trusted))


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
    ],
)
def test_where_a_call_comes_from(peer: str, forwarded: tuple[str, ...], trusted: tuple[str, ...], seen: str) -> None:
    assert _from(peer, *forwarded, trusted=trusted) == seen
