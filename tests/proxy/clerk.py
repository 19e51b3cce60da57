"""A little bank on loopback that asks for proof in every way a declaration can name, and keeps what it was sent."""

import base64
import contextlib
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.ground.keys import KeyRing
from tests.proxy.raw import transactions

BASE = "/open-banking/v4.0/aisp"
CODE = "246810"
CUSTOMERS = {"HB-1": "00012345", "HB-2": "00099999"}


@dataclass
class Sent:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    certificate: Any = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


Said = tuple[int, Any] | tuple[int, Any, str]


@dataclass
class Clerk:
    """`proof`: whether a request proves the gateway; `customer`: whom it is about. Tests replace both."""

    proof: Callable[[Sent], bool] = lambda sent: True
    customer: Callable[[Sent], str] = lambda sent: sent.headers.get("x-customer", "")
    also: dict[str, Callable[[Sent], Said]] = field(default_factory=dict)  # more doors, by their paths
    echoes: bool = False  # whether a refusal repeats all that was sent, as careless servers do
    seen: list[Sent] = field(default_factory=list)
    port: int = 0
    secure: bool = False

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.secure else f"http://127.0.0.1:{self.port}"

    def of(self, ending: str) -> list[Sent]:
        return [sent for sent in self.seen if sent.path.endswith(ending)]

    @property
    def data(self) -> list[Sent]:
        return [sent for sent in self.seen if BASE in sent.path]

    def answers(self, sent: Sent) -> Said:
        self.seen.append(sent)
        if sent.path in self.also:
            return self.also[sent.path](sent)
        if not self.proof(sent):
            return 401, {"error": "who are you", **({"sent": repr(sent)} if self.echoes else {})}
        if sent.path.startswith("/link/"):
            return self._link(sent)
        native = CUSTOMERS.get(self.customer(sent))
        if native is None:
            return 403, {"error": "whose"}
        if sent.path.endswith("/accounts"):
            return 200, {"Data": {"Account": [{"AccountId": native, "Status": "Enabled"}]}, "Links": {}, "Meta": {}}
        account = re.search(r"/accounts/([^/]+)", sent.path)
        if account and account[1] != native:
            return 403, {"error": "not hers"}
        return 200, transactions(native)

    def _link(self, sent: Sent) -> Said:
        said = sent.json if sent.body else {}
        if sent.path == "/link/start":
            return (202, {}) if said["customer_number"] in CUSTOMERS else (404, {})
        if sent.path == "/link/confirm":
            return (200, {"linked": True}) if said["code"] == CODE else (403, {})
        return 204, b""

    @contextlib.contextmanager
    def running(self, context: ssl.SSLContext | None = None) -> Iterator["Clerk"]:
        clerk = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
                status, said, *kind = clerk.answers(Sent(self.command, self.path, headers, body, shown))
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", str(kind[0]) if kind else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                return None

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:  # a caller that shows no certificate is no fault of the test's
                return None

        with Server(("127.0.0.1", 0), Door) as server:
            self.port, self.secure = server.server_address[1], context is not None
            if context is not None:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join(5)


# ---- proofs, as an organisation would check them


def api_key(name: str, secret: str) -> Callable[[Sent], bool]:
    return lambda sent: sent.headers.get(name) == secret


def basic(user: str, secret: str) -> Callable[[Sent], bool]:
    expected = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
    return lambda sent: sent.headers.get("authorization") == expected


def signature(keys: KeyRing, whole: Callable[[Sent], str]) -> Callable[[Sent], bool]:
    """RFC 9421 §3.2, by the key set that the gateway publishes. `whole`: the address at which a request came."""

    def check(sent: Sent) -> bool:
        given = re.fullmatch(r'aval=(\((.*)\);.*;keyid="([^"]+)".*)', sent.headers.get("signature-input", ""))
        made = re.fullmatch(r"aval=:(.+):", sent.headers.get("signature", ""))
        if given is None or made is None:
            return False
        address = urlsplit(whole(sent))
        derived = {
            "@method": sent.method,
            "@target-uri": whole(sent),
            "@authority": address.netloc,
            "@path": address.path,
            "@query": f"?{address.query}",
        }
        names = re.findall(r'"([^"]+)"', given[2])
        if sent.body and sent.headers.get("content-digest") != digest(sent.body):
            return False
        values = [derived.get(name) or sent.headers[name] for name in names]
        lines = [f'"{name}": {value}' for name, value in zip(names, values, strict=True)]
        base = "\n".join([*lines, f'"@signature-params": {given[1]}']).encode()
        (jwk,) = [key for key in keys.jwks()["keys"] if key["kid"] == given[3]]
        x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "="), "big") for name in ("x", "y"))
        raw = base64.b64decode(made[1])
        halves = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        try:
            ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(
                encode_dss_signature(*halves), base, ec.ECDSA(hashes.SHA256())
            )
        except Exception:
            return False
        return True

    return check


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
