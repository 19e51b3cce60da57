"""Requests as bytes, against the real server: one meaning, or one refusal and a closed connection."""

import contextlib
import json
import socket
import time

import pytest

from tests.proxy.bank import Bank
from tests.proxy.proxy_world import exchange, statuses


def refused(said: bytes, *expected: int) -> bool:
    """One answer, of 4xx or 5xx, or none at all."""
    found = statuses(said)
    return len(found) <= 1 and all(status >= 400 for status in found) and (not expected or found == [expected[0]])


@pytest.fixture
def head(bank: Bank) -> bytes:
    """A good request's beginning, to which a case adds what is wrong."""
    return (
        f"GET {bank.path} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nAuthorization: Bearer {bank.token}\r\n"
    ).encode()


SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def test_the_good_request_is_answered(bank: Bank, head: bytes) -> None:
    assert statuses(exchange(bank.world, head + b"\r\n")) == [200]


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhelloo",
        b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"Content-Length: 5, 6\r\n\r\nhello",
        b"Content-Length: +5\r\n\r\nhello",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x5\r\n\r\nhello",
        b"Content-Length: 1 0\r\n\r\nhellohello",
        b"Content-Length: \r\n\r\n",
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked, identity\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked, chunked\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding: \x0bchunked\r\n\r\n" + SMUGGLED,
        b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED,
        b"X-A: b\r\n folded\r\n\r\n",
        b"X-A: b\rX-B: c\r\n\r\n",
        b"X-A: b\nX-B: c\r\n\r\n",
        b"X-A: b\n\n",
        b"X-A: b\x00c\r\n\r\n",
        b"X-\x00A: bc\r\n\r\n",
        b"X-A: b\x01c\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        b"Content-Length: 5\r\n\r\nhello",
        b"Authorization: Bearer x\r\n\r\n",
        b"DPoP: a\r\nDPoP: b\r\n\r\n",
        b"Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n",
        b"Expect: 200-maybe\r\n\r\n",
        b"Content-Encoding: gzip\r\n\r\n",
        b"Host: localhost\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(bank: Bank, head: bytes, fields: bytes) -> None:
    said = exchange(bank.world, head + fields)
    assert refused(said), said
    assert not bank.organisation.seen


@pytest.mark.parametrize(
    "fields",
    [
        b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + b"X-T: y\r\n" * 5000 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    ],
)
def test_a_body_that_is_not_framed_in_one_way_is_refused_at_other_doors_too(bank: Bank, fields: bytes) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n".encode()
    said = exchange(bank.world, head + fields)
    assert len(statuses(said)) <= 1, said
    assert not said.startswith(b"HTTP/1.1 200") or b"smuggled" not in said


def test_a_whole_chunked_body_is_taken_where_bodies_are(bank: Bank) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nConnection: close\r\n".encode()
    said = exchange(bank.world, head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert statuses(said) == [200] and b'"body": 5' in said


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"", 400),
        (b"Host: \r\n", 400),
        (b"Host: a/b@c\r\n", 400),
        (b"Host: user@localhost\r\n", 400),
        (b"Host: http://localhost/\r\n", 400),
        (b"Host: mallory.example\r\n", 400),
        (b"Host: localhost.\r\n", 400),
        (b"Host: localhost:1\r\n", 400),
    ],
)
def test_exactly_our_own_host_is_served(bank: Bank, host: bytes, status: int) -> None:
    assert statuses(exchange(bank.world, b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")) == [status]


def test_who_calls_by_another_name_is_told_the_right_one(bank: Bank) -> None:
    said = exchange(bank.world, b"GET /healthz HTTP/1.1\r\nHost: mallory.example\r\n\r\n")
    assert f"this gateway answers to {bank.world.settings.host_header}".encode() in said
    assert b"mallory" not in said


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://localhost/ HTTP/1.1",
        b"GET http://mallory.example/ HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/ HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"GET /\xc3\xa9 HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET /",
        b"GET / HTTP/9.9",
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"PRI * HTTP/2.0",
        b"CONNECT mallory.example:443 HTTP/1.1",
        b"TRACK / HTTP/1.1",
        b"get / HTTP/1.1",
        b"JUMP / HTTP/1.1",
    ],
)
def test_a_request_line_has_one_form(bank: Bank, line: bytes) -> None:
    said = exchange(bank.world, line + f"\r\nHost: {bank.world.settings.host_header}\r\n\r\n".encode())
    assert refused(said), said


def test_http_1_0_with_chunks_is_refused(bank: Bank) -> None:
    head = f"POST /token HTTP/1.0\r\nHost: {bank.world.settings.host_header}\r\n".encode()
    assert refused(exchange(bank.world, head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))


def test_trace_is_not_allowed_anywhere(bank: Bank) -> None:
    line = f"TRACE / HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n\r\n"
    assert statuses(exchange(bank.world, line.encode())) == [405]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"X-A: " + b"x" * 65536 + b"\r\n\r\n", 431),
        (b"X-A: " + b"x" * 33000 + b"\r\n\r\n", 431),
        (b"X-A: x\r\n" * 1000 + b"\r\n", 431),
        (b"".join(b"X-%d: x\r\n" % n for n in range(101)) + b"\r\n", 431),
        (b"X-A: x\r\n" * 130_000 + b"\r\n", 431),
    ],
)
def test_heads_are_bounded(bank: Bank, head: bytes, fields: bytes, status: int) -> None:
    found = statuses(exchange(bank.world, head + fields))
    assert found in ([status], [])  # a flood may be closed before its answer can be read


@pytest.mark.parametrize("piece", [1, 1000])
def test_lines_are_counted_before_the_head_ends(bank: Bank, head: bytes, piece: int) -> None:
    flood = head + b"X:y\r\n" * 200
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=5) as connection:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(flood), piece):
                connection.sendall(flood[start : start + piece])
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("size", [9_000, 65_536])
def test_targets_are_bounded(bank: Bank, size: int) -> None:
    line = f"GET /{'a' * size} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n\r\n"
    assert statuses(exchange(bank.world, line.encode())) in ([414], [431])


def test_nothing_after_a_refused_request_is_processed(bank: Bank, head: bytes) -> None:
    said = exchange(bank.world, head + b"Content-Encoding: gzip\r\n\r\n" + head + b"\r\n")
    assert statuses(said) == [415]
    assert not bank.organisation.seen


def test_requests_on_one_connection_are_answered_in_order(bank: Bank, head: bytes) -> None:
    said = exchange(bank.world, (head + b"\r\n") * 3)
    assert statuses(said) == [200, 200, 200]


@pytest.mark.parametrize(
    "second",
    [
        b"GET  /hello HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /hello RTSP/1.0\r\nHost: {host}\r\n\r\n",
        b"GET /hello ICE/1.0\r\nHost: {host}\r\n\r\n",
        b"\r\nGET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"\r\n\r\nGET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /hello HTTP/1.1\nHost: {host}\n\n",
        b"GET /hello HTTP/1.1\r\nHost: {host}\nX: y\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n",
        b"rubbish\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", ["GET", "POST"])
def test_every_request_of_a_segment_meets_the_same_rule(bank: Bank, before: str, second: bytes) -> None:
    """The good ones before are answered, and then the connection closes."""
    host = bank.world.settings.host_header.encode()
    first = {
        "GET": b"GET /hello HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
        "POST": b"POST /token HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 5\r\n\r\nhello",
    }[before]
    good = b"GET /hello HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    for count in (1, 2):
        with socket.create_connection(("127.0.0.1", bank.world.port), timeout=5) as connection:
            connection.sendall(first * count + second.replace(b"{host}", host) + good)
            said = b""
            while piece := connection.recv(65536):
                said += piece
        assert statuses(said) == [200] * count, said


def test_a_request_behind_chunks_in_one_segment_is_left_for_the_next_connection(bank: Bank) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n".encode()
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=5) as connection:
        connection.sendall(chunked + b"GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while piece := connection.recv(65536):
            said += piece
    assert statuses(said) == [200] and b'"body": 5' in said


def test_bodies_of_a_given_length_may_be_followed_at_once(bank: Bank) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n".encode()
    said = exchange(bank.world, (head + b"Content-Length: 5\r\n\r\nhello") * 3 + head + b"Content-Length: 0\r\n\r\n")
    assert statuses(said) == [200, 200, 200, 200] and said.count(b'"body": 5') == 3


def test_names_with_underscores_and_forged_forwarding_are_dropped(bank: Bank) -> None:
    lines = (
        f"GET /hello HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nX_User_Id: bob\r\n"
        "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n"
        "X-Real-IP: 9.9.9.9\r\nX-SSL-Client-Cert: a\r\nX-User-Id: bob\r\nAccept: a\r\n\r\n"
    )
    said = json.loads(exchange(bank.world, lines.encode()).split(b"\r\n\r\n", 1)[1])
    assert said["headers"] == ["host", "accept"]
    assert said["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    ["/../x", "/./x", "/%2e%2e/x", "/%252e", "/..;/x", "//x", "/a\\b", "/%5c", "/%00", "/a;b=c", "/%2F", "/a./b",
     "/a.", "/..", "/%c0%ae", "/%2E%2e", "/.hidden", "/a%20b", "/%E2%80%A4"],
)  # fmt: skip
def test_a_path_has_one_spelling(bank: Bank, path: str) -> None:
    line = f"GET /data/{bank.id}{path} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n"
    said = exchange(bank.world, f"{line}Authorization: Bearer {bank.token}\r\n\r\n".encode())
    assert statuses(said) == [400], said
    assert not bank.organisation.seen


@pytest.mark.parametrize("query", ["a=1;b=2", "a[]=1", "=x", "a=%", "a=%zz", "a=%00", "a=%ff", "&&a=1", "a=%0d%0a"])
def test_a_query_has_one_reading(bank: Bank, query: str) -> None:
    assert bank.reads(f"{bank.path}?{query}").status == 400
    assert not bank.organisation.seen


def test_a_parameter_given_twice_is_refused(bank: Bank) -> None:
    assert bank.reads(f"{bank.path}?page=1&page=2").status == 403


def test_policy_and_organisation_see_the_same_value(bank: Bank) -> None:
    bank.reads(f"{bank.path}?fromBookingDateTime=2026-11-01T00:00:00%2B00:00")
    assert "fromBookingDateTime=2026-11-01T00:00:00&" in bank.organisation.seen[-1].target + "&"


# ---- slow clients


def test_a_head_that_never_ends_is_closed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ground.http.listener.HEAD_SECONDS", 1.0)
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=10) as connection:
        begun = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert connection.recv(1000) == b""
        assert time.monotonic() - begun < 5


def test_trickling_a_head_does_not_win_time(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ground.http.listener.HEAD_SECONDS", 1.0)
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=10) as connection:
        begun = time.monotonic()
        connection.settimeout(0.2)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 6:
                connection.sendall(b"X")
                try:
                    if connection.recv(1000) == b"":
                        break
                except TimeoutError:
                    continue
        assert time.monotonic() - begun < 5


def test_a_body_that_never_ends_is_closed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ground.http.listener.BODY_SECONDS", 1.0)
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nContent-Length: 10\r\n\r\nab"
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000) == b""


def test_a_silent_connection_is_closed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ground.http.listener.HEAD_SECONDS", 1.0)
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=10) as connection:
        assert connection.recv(1000) == b""


# ---- what asks for another protocol, for leave to send, or says a space in two ways


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eA==\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Upgrade: h2c, websocket\r\n",
        b"TE: trailers, deflate\r\nTrailer: X-Internal-User\r\n",
        b"Keep-Alive: timeout=1000, max=1000\r\nProxy-Connection: keep-alive\r\n",
        b"Connection: close, X-Internal-User, Authorization, X-Request-Id, Host\r\n",
    ],
    ids=["websocket", "h2c", "both", "trailers", "keep-alive", "named"],
)
def test_another_protocol_is_not_spoken_and_nothing_of_the_hop_goes_on(bank: Bank, head: bytes, fields: bytes) -> None:
    said = exchange(bank.world, head + fields + b"\r\n")
    assert statuses(said) in ([200], [400], [501]), said
    assert b"101 " not in said[:20] and b"upgrade:" not in said.lower()
    for sent in bank.organisation.seen:
        assert {name.lower() for name in sent.headers} == {
            "host", "authorization", "accept", "accept-encoding", "user-agent", "x-request-id"
        }  # fmt: skip


def test_bytes_after_a_wish_for_another_protocol_are_no_request_of_their_own(bank: Bank, head: bytes) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    said = exchange(bank.world, head + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + preface)
    assert len(bank.organisation.seen) <= 1 and statuses(said).count(200) <= 1
    assert all(status in (200, 400, 501) for status in statuses(said))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /token HTTP/1.1\r\nHost: mallory.example", 400),
        ("POST /token HTTP/1.1\r\nHost: {host}\r\nContent-Encoding: gzip", 415),
        ("POST /data/x/y HTTP/1.1\r\nHost: {host}", 405),
    ],
)
def test_leave_to_send_is_not_given_for_a_body_that_is_refused(bank: Bank, line: str, status: int) -> None:
    head = line.format(host=bank.world.settings.host_header)
    said = exchange(bank.world, f"{head}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
    assert b"100 Continue" not in said and statuses(said) == [status]


def test_leave_to_send_is_given_where_the_body_is_read(bank: Bank) -> None:
    head = f"POST /token HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nContent-Length: 5\r\n"
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=5) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert b'"body": 5' in connection.recv(65536)


def test_a_plus_is_a_plus_and_a_space_is_refused(bank: Bank) -> None:
    targets = []
    for plus in ("+", "%2B", "%2b"):
        assert bank.reads(f"{bank.path}?fromBookingDateTime=2026-11-01T00:00:00{plus}00:00").status == 200
        targets.append(bank.organisation.seen[-1].target)
    assert len(set(targets)) == 1
    before = len(bank.organisation.seen)
    assert bank.reads(f"{bank.path}?fromBookingDateTime=2026-11-01T00:00:00%2000:00").status in (400, 403)
    assert len(bank.organisation.seen) == before
