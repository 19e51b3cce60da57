"""Where metrics are scraped: `GET /metrics` on an address of its own, which the public port knows nothing of.

Of several processes the parent answers for all: each writes its values to files of a private folder, in memory that
outlives it, and the parent adds them up.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it in every process
TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "aval-metrics-"
SECONDS = 5.0  # for a connection in all, however slowly its bytes come, so that nobody keeps the few places
AT_ONCE = 8

Text = Callable[[], bytes]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"There is only /metrics here.\n")
        else:
            self._answer(200, self.server.text(), TYPE)

    def _refuse(self) -> None:
        self._answer(405, b"There is only GET /metrics here.\n")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "aval"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: it would be a line for each scrape, in another form than all others."""


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # connections that nobody has looked at yet
    allow_reuse_port = False  # else another process of this user could take a part of the scrapes

    def __init__(self, address: tuple[str, int], text: Text) -> None:
        self.text = text
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # that of HTTPServer asks a name server about the address

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(SECONDS, _cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: who asks has gone, or was too slow."""


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def parts(address: str) -> tuple[str, int]:
    """The IP address and the port. Raises ValueError."""
    host, _, port = address.rpartition(":")
    return str(ip_address(host.strip("[]"))), int(port)


@contextlib.contextmanager
def listening(address: str, text: Text) -> Iterator[int]:
    """Answer scrapes meanwhile, in threads. Yields the port. Raises OSError when nobody can listen there."""
    server = _Server(parts(address), text)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Several:
    """The values of several processes, for their parent."""

    def __init__(self, folder: str) -> None:
        # here: who does not measure does not load the library
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        self._folder = folder
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, folder)  # type: ignore[no-untyped-call]

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def ended(self, number: int) -> None:
        """What that process had at the moment, such as memory, is no more; what it has counted stays."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(number, self._folder)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def several(data_dir: Path) -> Iterator[Several]:
    """Processes that are started meanwhile write their values where the parent finds them. Raises OSError."""
    folder, held = _made(data_dir)
    os.environ[FOLDER] = folder
    try:
        yield Several(folder)
    finally:
        os.environ.pop(FOLDER, None)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _made(data_dir: Path) -> tuple[str, int]:
    """A private folder, and the descriptor by which it is held. Raises OSError."""
    for place in _places(data_dir):
        _clear(place)
        with contextlib.suppress(OSError):
            while True:
                folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
                held = os.open(folder, os.O_RDONLY)
                fcntl.flock(held, fcntl.LOCK_EX)
                if os.path.isdir(folder):  # else another parent took it for one that was left
                    return folder, held
                os.close(held)
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def _places(data_dir: Path) -> Iterator[Path]:
    """In memory first: a process that cannot grow its file on a full disk would be killed."""
    yield Path("/dev/shm")
    with contextlib.suppress(FileNotFoundError):  # none, as in a container with a read-only root
        yield Path(tempfile.gettempdir())
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield data_dir


def _clear(place: Path) -> None:
    """Remove what parents have left that were killed: a folder that nobody holds any more."""
    for left in place.glob(f"{PREFIX}*/"):
        with contextlib.suppress(OSError):  # another user's, or held
            held = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)
