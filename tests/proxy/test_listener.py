"""Who is too slow is cut off: headers, bodies, readers. With short patience, so that the test has some."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from gateway.ground.http import listener
from gateway.settings import Settings

PATIENCE = 0.4


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the whole body; answers with as many bytes as its path says, or fails as it says."""
    if scope["path"] in ("/begins-and-fails", "/begins-and-ends"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    if scope["path"].endswith("fails"):
        raise RuntimeError("an app that fails")
    if scope["path"].endswith("ends"):
        return
    if scope["path"] == "/slow-to-read":
        await asyncio.sleep(PATIENCE * 3)
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    size = int(scope["path"][1:]) if scope["path"][1:].isdigit() else len(body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    if size < 50_000:
        await send({"type": "http.response.body", "body": b"x" * size})
        return
    for start in range(0, size, 2**16):
        await send({"type": "http.response.body", "body": b"x" * min(2**16, size - start), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "WRITE_SECONDS"):
        monkeypatch.setattr(listener, name, PATIENCE)
    monkeypatch.setattr(listener, "SWEEP_SECONDS", PATIENCE / 8)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=listener.listeners(Settings()),
        lifespan="off",
        log_config=None,
        timeout_keep_alive=1,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(listening.getsockname()[1])
    server.should_exit = True
    thread.join()
    listening.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def closed_after(connection: socket.socket) -> float:
    """Seconds until the server has closed it; what it still sends is read."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while connection.recv(2**16):
            continue
    return time.monotonic() - began


@pytest.mark.parametrize(
    "begun",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"],
    ids=["nothing", "a byte", "half a header", "half a body"],
)
def test_a_request_that_does_not_come_on_is_cut_off(port: int, begun: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(begun)
        assert PATIENCE * 0.8 < closed_after(connection) < PATIENCE * 4


def test_a_header_that_trickles_is_cut_off_all_the_same(port: int) -> None:
    with connected(port) as connection:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"y" * 60:
                connection.sendall(bytes([byte]))
                time.sleep(PATIENCE / 8)
        assert time.monotonic() - began < PATIENCE * 4


def test_an_empty_line_is_no_beginning_of_a_request(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"\r\n")
        assert connection.recv(2**16).startswith(b"HTTP/1.1 400 ")


def test_an_empty_line_after_an_answer_does_not_hold_the_connection_for_ever(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(2**16).endswith(b"xx")
        connection.sendall(b"\r\n")
        assert closed_after(connection) < PATIENCE * 4


def test_a_reader_that_does_not_read_is_cut_off(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /50000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(PATIENCE * 3)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                received += len(part)
        assert received < 50_000_000


def test_who_sends_and_reads_as_people_do_is_served(port: int) -> None:
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert b"200 OK" in connection.recv(2**16)
            time.sleep(PATIENCE / 3)


def test_our_own_slowness_is_not_held_against_the_client(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST /slow-to-read HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        connection.sendall(b"x" * 300000)
        answer = connection.recv(2**16)
        assert b"200 OK" in answer


@pytest.mark.parametrize("path", ["/fails", "/ends", "/begins-and-fails", "/begins-and-ends"])
def test_an_app_that_fails_or_says_nothing_is_answered_for(port: int, path: str) -> None:
    with connected(port) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        found = b""
        while chunk := connection.recv(2**16):
            found += chunk
    assert (
        found.startswith(b"HTTP/1.1 500 ") and found.endswith(b"Internal Server Error") and found.count(b"HTTP/") == 1
    )


def test_answers_to_requests_sent_together_come_in_their_order(port: int) -> None:
    """Small ones, large ones, and one in pieces: whatever way each goes out, and then a request that is none."""
    sizes = (1, 3, 70_000, 2, 40_000, 0)
    with connected(port) as connection:
        connection.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % size for size in sizes))
        found = b""
        while found.count(b"HTTP/1.1 200 ") < len(sizes) or not found.endswith(b"\r\n\r\n"):
            found += connection.recv(2**16)
        connection.sendall(b"GET\r\n\r\n")
        while chunk := connection.recv(2**16):
            found += chunk
    lengths = [int(line[16:]) for line in found.split(b"\r\n") if line.startswith(b"content-length: ")]
    assert lengths == [*sizes, 0] and found.count(b"x") == sum(sizes)
    assert found.count(b"HTTP/1.1 400 ") == 1


def test_an_answer_is_not_lost_to_what_follows_it_at_once(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = b""
        while chunk := connection.recv(2**16):
            found += chunk
    assert found.startswith(b"HTTP/1.1 200 ") and found.endswith(b"xxxxxxx")
