"""nginx in front: its file is taken, and what it does is what the gateway counts on."""

import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from gateway.ground.http import guard, listener
from gateway.settings import Settings
from tests.ports import free_port
from tests.worlds.nginx import CONFIG, HOST, NGINX, Front, certificate, here, needs_nginx, running


class Behind(BaseHTTPRequestHandler):
    """In the gateway's place: tells what it was asked, and streams in two parts."""

    protocol_version = "HTTP/1.1"
    go_on = Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Accel-Redirect", "/readyz")
        self.end_headers()
        told = f"{self.path} {self.headers['Host']} {self.headers.get_all('X-Forwarded-For')}".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(told), told))
        if self.path == "/data/slow":
            self.go_on.wait(20)
        self.wfile.write(b"3\r\nend\r\n0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    behind = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    Thread(target=behind.serve_forever, daemon=True).start()
    with running(tmp_path_factory.mktemp("nginx"), behind.server_port) as made:
        yield made
    behind.shutdown()
    behind.server_close()


@needs_nginx
def test_the_file_is_taken(tmp_path: Path) -> None:
    assert NGINX
    certificate(tmp_path)
    file = here(tmp_path, free_port(), free_port(), free_port())
    done = subprocess.run([NGINX, "-t", "-p", str(tmp_path), "-c", str(file)], capture_output=True, text=True)
    assert done.returncode == 0 and "successful" in done.stderr, done.stderr


@needs_nginx
def test_a_call_arrives_unchanged_with_the_callers_own_address(front: Front) -> None:
    answer = front.ask("/data/a//b?x=%41", "X-Forwarded-For: 203.0.113.9\r\n")
    assert f"/data/a//b?x=%41 {HOST} ['127.0.0.1']" in answer


@needs_nginx
def test_the_first_part_of_a_stream_is_there_before_the_second_is_written(front: Front) -> None:
    Behind.go_on.clear()
    with front.open() as made:
        made.sendall(f"GET /data/slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        got = b""
        while b"/data/slow" not in got:
            assert (part := made.recv(65536)), got
            got += part
        Behind.go_on.set()
        while b"end" not in got:
            assert (part := made.recv(65536)), got
            got += part


@needs_nginx
def test_health_is_for_those_inside_and_no_answer_from_behind_steers_nginx(front: Front) -> None:
    for path in ("/healthz", "/readyz"):
        assert front.ask(path).startswith("HTTP/1.1 404")
    assert front.ask("/x").startswith("HTTP/1.1 200")  # X-Accel-Redirect would have led to a 404


@needs_nginx
def test_another_name_gets_no_certificate(front: Front) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        front.open("other.example.org")


@needs_nginx
def test_no_line_holds_a_query(front: Front) -> None:
    front.ask("/authorize?code=never-to-be-seen")
    deadline = time.monotonic() + 10
    while not (front.folder / "log").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "never-to-be-seen" not in (front.folder / "log").read_text()


def test_its_times_and_sizes_fit_those_of_the_gateway() -> None:
    def number(name: str) -> float:
        [found] = re.findall(rf"^\s*{name} ([\d.]+)[sm]?;", CONFIG, re.MULTILINE)
        return float(found)

    assert number("proxy_read_timeout") > Settings().total_seconds
    assert number("client_header_timeout") <= listener.HEAD_SECONDS
    assert number("send_timeout") <= listener.WRITE_SECONDS
    upstream = CONFIG[CONFIG.index("upstream") :]
    [kept] = re.findall(r"keepalive_timeout (\d+)s; #", upstream)
    assert int(kept) < listener.KEEP_ALIVE_SECONDS, "else a call meets a connection that is just being closed"
    [(many, size)] = re.findall(r"large_client_header_buffers (\d+) (\d+)k", CONFIG)
    assert int(size) * 1024 >= guard.TARGET_BYTES and int(many) * int(size) * 1024 >= guard.FIELDS_BYTES
