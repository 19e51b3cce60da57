"""In the place of the conformance suite: its addresses behind TLS on this machine, which keep what they are told."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port
from tests.proxy.certificates import Root


@dataclass
class Suite:
    port: int
    jwks: dict[str, Any] = field(default_factory=dict)  # what stands at /jwks
    told: list[tuple[str, str]] = field(default_factory=list)  # (path, body) of every POST

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def hears(self, path: str) -> str:
        """The body of the first POST to this path; it may be on its way for 20 seconds."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for at, body in list(self.told):
                if at == path:
                    return body
            time.sleep(0.1)
        raise AssertionError(f"nothing came to {path}, only to {[at for at, _ in self.told]}")


@contextmanager
def suite(root: Root) -> Iterator[Suite]:
    """With a certificate that `root` has signed."""
    made = Suite(free_port())

    class Doors(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(json.dumps(made.jwks).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            made.told.append((self.path, body.decode()))
            self._say(b"", 202 if self.path.endswith("/ssf-push") else 200)  # RFC 8935 wants its own status

        def _say(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Not among the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", made.port), Doors)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*root.gives("suite"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
