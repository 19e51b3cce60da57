"""The example organisations as real processes, and a gateway that is nothing but its keys."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

SECRET = "a secret of the tests only"
TODAY = "2026-11-23"


class FakeGateway:
    """Publishes a key and signs assertions. `keys` may be changed to rotate."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.kid = "key-1"
        handler = type("Handler", (_Jwks,), {"gateway": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwks(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig", "alg": "ES256"}
        return {"keys": [key]}

    def rotate(self) -> None:
        self.private, self.kid = ec.generate_private_key(ec.SECP256R1()), "key-" + uuid.uuid4().hex[:6]

    def assertion(self, audience: str, subject: str, *, typ: str = "aval-assertion+jwt", **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": audience,
            "sub": subject,
            "iat": now,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims | changed, self.private, "ES256", headers={"kid": self.kid, "typ": typ})


class _Jwks(BaseHTTPRequestHandler):
    gateway: FakeGateway

    def do_GET(self) -> None:
        body = json.dumps(self.gateway.jwks()).encode()
        self.send_response(200 if self.path == "/jwks.json" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@dataclass
class Organisation:
    url: str
    gateway: FakeGateway
    process: subprocess.Popen[str]
    http: httpx2.Client

    def signed(self, subject: str, **changed: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.gateway.assertion(self.url, subject, **changed)}"}

    def get(self, path: str, subject: str, **query: str) -> httpx2.Response:
        return self.http.get(path, params=query or None, headers=self.signed(subject))

    def post(self, path: str, subject: str, body: dict[str, str]) -> httpx2.Response:
        return self.http.post(path, json=body, headers=self.signed(subject))

    def code(self, customer: str) -> str:
        """The newest code on the page that stands for the customer's phone."""
        found = re.search(r"class=code>(\d{6})<", self.http.get(f"/inbox/{customer}").text)
        assert found
        return found[1]

    def link(self, subject: str, customer: str) -> None:
        assert self.post("/aval/link/start", subject, {"customer_number": customer}).status_code == 202
        body = {"customer_number": customer, "code": self.code(customer)}
        assert self.post("/aval/link/confirm", subject, body).json() == {"linked": True}

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()


Start = Callable[..., Organisation]


@pytest.fixture(scope="session")
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture(scope="module")
def start(gateway: FakeGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start one organisation on a free port; all are stopped at the end of the module."""
    running: list[Organisation] = []

    def one(name: str, *more: str, folder: Path | None = None, port: int = 0) -> Organisation:
        folder = folder or tmp_path_factory.mktemp(name)
        command = [sys.executable, "-m", f"examples.organisations.{name}", "--port", str(port), "--today", TODAY]
        command += ["--gateway", gateway.url, "--dir", str(folder), *more]
        environment = {**os.environ, "CITY_ENERGY_CLIENT_SECRET": SECRET}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("ready http://localhost:"), line
        url = line.removeprefix("ready ").strip()
        running.append(Organisation(url, gateway, process, httpx2.Client(base_url=url, trust_env=False, timeout=20)))
        return running[-1]

    yield one
    for organisation in running:
        if organisation.process.poll() is None:
            organisation.stop()
