"""TLS for tests: an authority, files of a server and of clients, and a whole gateway that speaks it.

    root = authority(tmp_path)                              # a CA of this test; root.file is its PEM
    certificate, key = server_files(tmp_path, "localhost")  # signed by authority(tmp_path)
    certificate, key = client_files(tmp_path, "meter")      # the same, for an app; subject CN=meter
    certificate, key = self_signed_files(tmp_path, "solo")  # for self_signed_tls_client_auth

    with gateway(tmp_path) as served:                       # `aval serve` as a process, ready to answer
        served.url, served.mtls_url                         # https://localhost:…, for browsers and for certificates
        served.get("/readyz")                               # on the main port
        served.get("/readyz", client=client_files(tmp_path, "meter"))     # on the port for mutual TLS
        served.request("POST", "/token", body=b"…", client=(certificate, key), Authorization="Basic …")
        served.ca_file, served.log                          # what clients trust; what it has said

`gateway` takes settings by name (`AVAL_MODE="production"`), more options of the command (`"--processes", "2"`), and
`prepare`, called with the environment before it starts, for `aval migrate`, apps and organisations.

    with serving(app, settings(tmp_path), registered) as server:      # the server alone, in a thread, with a test's app
        server.asked(mutual=True, client=client_files(tmp_path, "meter"))
"""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.ground.http import listener
from gateway.ground.http.server import HttpServer, Ports
from gateway.ground.http.tls import NOBODY, Registered
from gateway.settings import Settings
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
Files = tuple[Path, Path]  # certificate with its chain, key; both PEM
PATIENCE_SECONDS = 90  # a busy machine is no fault
WEEK = timedelta(days=7)


@dataclass
class Authority:
    """A CA whose key the test has, so that it can sign anything. `parent`: who has signed it; None: it has itself."""

    folder: Path
    name: str = "test authority"
    parent: "Authority | None" = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        signer = self.parent or self
        self.certificate = _certificate(named(self.name), self.key, named(signer.name), signer.key, ca=True)
        self.file = self.folder / f"{self.name.replace(' ', '-')}.pem"
        self.file.write_bytes(pem(self.certificate))

    def signs(
        self,
        subject: x509.Name,
        *names: x509.GeneralName,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        begins: timedelta = timedelta(hours=-1),
        ends: timedelta = WEEK,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = key or ec.generate_private_key(ec.SECP256R1())
        made = _certificate(subject, key, named(self.name), self.key, names, usage, begins=begins, ends=ends)
        return made, key


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    names: Sequence[x509.GeneralName] = (),
    usage: x509.ObjectIdentifier | None = None,
    *,
    ca: bool = False,
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta = WEEK,
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if ca:
        signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        made = made.add_extension(signs, critical=True)
    return made.sign(signer, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def der(certificate: x509.Certificate | Path) -> bytes:
    """Of a file: its first certificate."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes()) if isinstance(certificate, Path) else certificate
    return found.public_bytes(serialization.Encoding.DER)


def written(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, *chain: x509.Certificate
) -> Files:
    """Over those of the same name, each in one step."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    for file, content in zip(files, (pem(certificate, *chain), private), strict=True):
        beside = file.with_suffix(f"{file.suffix}.new")
        beside.write_bytes(content)
        beside.chmod(0o600)
        beside.replace(file)
    return files


_authorities: dict[Path, Authority] = {}


def authority(folder: Path) -> Authority:
    """The one of this folder: always the same in one test."""
    if folder not in _authorities:
        _authorities[folder] = Authority(folder / "authority")
    return _authorities[folder]


def server_files(folder: Path, *hosts: str, ends: timedelta = WEEK, name: str = "server") -> Files:
    """For these hosts (names or addresses), signed by `authority(folder)`; 127.0.0.1 is one as well."""
    addresses = [x509.IPAddress(ip_address("127.0.0.1"))]
    names = [*(x509.DNSName(host) for host in hosts), *addresses]
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    return written(folder, name, *authority(folder).signs(named(hosts[0]), *names, usage=usage, ends=ends))


def client_files(folder: Path, name: str, *names: x509.GeneralName, ends: timedelta = WEEK) -> Files:
    """Of an app, signed by `authority(folder)`. Its subject is CN=`name`."""
    begins = min(timedelta(hours=-1), ends - timedelta(hours=1))
    return written(folder, name, *authority(folder).signs(named(name), *names, begins=begins, ends=ends))


def self_signed_files(folder: Path, name: str, *, ca: bool = False, ends: timedelta = WEEK) -> Files:
    """Of an app that has signed its certificate itself. `ca`: as many tools make them, it may sign others too."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins = min(timedelta(hours=-1), ends - timedelta(hours=1))
    made = _certificate(named(name), key, named(name), key, ca=ca, begins=begins, ends=ends)
    return written(folder, name, made, key)


def client_context(ca_file: Path, client: Files | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(ca_file))
    if client:
        made.load_cert_chain(*client)
    return made


@dataclass
class Answered:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class TlsGateway:
    """`aval serve` as a process of its own, with TLS on both ports."""

    folder: Path
    port: int
    mtls_port: int
    ca_file: Path
    files: Files
    environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def mtls_url(self) -> str:
        return f"https://localhost:{self.mtls_port}"

    def get(self, path: str, client: Files | None = None, mutual: bool | None = None, **fields: str) -> Answered:
        return self.request("GET", path, b"", client, mutual, **fields)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        client: Files | None = None,
        mutual: bool | None = None,
        **fields: str,
    ) -> Answered:
        """On a connection of its own. `mutual`: on the port for certificates, if one is shown unless it is said.
        `fields`: with `_` for `-`."""
        port = self.mtls_port if (mutual if mutual is not None else client is not None) else self.port
        made = http.client.HTTPSConnection("localhost", port, timeout=30, context=client_context(self.ca_file, client))
        with contextlib.closing(made):
            named_ = {name.replace("_", "-"): value for name, value in fields.items()}
            made.request(method, path, body or None, named_)
            answer = made.getresponse()
            return Answered(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())

    def ends(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def gateway(
    folder: Path, *options: str, prepare: Callable[[dict[str, str]], None] | None = None, **settings: str
) -> Iterator[TlsGateway]:
    port, mtls_port = free_port(), free_port()
    root, files = authority(folder), server_files(folder, "localhost")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AVAL_") or "INTERPRETED" in name},
        "AVAL_DATA_DIR": str(folder / "data"),
        "AVAL_PORT": str(port),
        "AVAL_PUBLIC_URL": f"https://localhost:{port}",
        "AVAL_TLS_CERTIFICATE_FILE": str(files[0]),
        "AVAL_TLS_KEY_FILE": str(files[1]),
        "AVAL_MTLS_PORT": str(mtls_port),
        "AVAL_MTLS_PUBLIC_URL": f"https://localhost:{mtls_port}",
        "AVAL_MTLS_CA_FILE": str(root.file),
        **settings,
    }
    if prepare is not None:
        prepare(environment)
    log = folder / "serve.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "gateway", "serve", *options]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
    made = TlsGateway(folder, port, mtls_port, root.file, files, environment, log, process)
    try:
        _until_ready(made)
        yield made
    finally:
        made.ends()


def _until_ready(served: TlsGateway) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and served.process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if served.get("/readyz").status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(served.log.read_text())


def settings(folder: Path, **more: Any) -> Settings:
    """Of a server with both ports, for `serving`, which chooses them. Names of hosts are those of the ports."""
    certificate, key = server_files(folder, "localhost")
    given: dict[str, Any] = {
        "public_url": "https://localhost",
        "mtls_public_url": "https://mtls.localhost",
        "mtls_port": 1,
        "tls_certificate_file": certificate,
        "tls_key_file": key,
        "mtls_ca_file": authority(folder).file,
    }
    return Settings(**{**given, **more})


@dataclass
class ServingThread:
    """A server of the gateway in this process."""

    server: HttpServer
    port: int
    mtls_port: int
    ca_file: Path

    def greeted(self) -> int:
        """Handshakes under way."""
        return sum(len(getattr(each, "_greeting", ())) for each in self.server.servers)

    @contextlib.contextmanager
    def connected(
        self, mutual: bool = False, client: Files | None = None, context: ssl.SSLContext | None = None, **more: Any
    ) -> Iterator[ssl.SSLSocket]:
        context = context or client_context(self.ca_file, client)
        port = self.mtls_port if mutual else self.port
        with socket.create_connection(("127.0.0.1", port), 15) as made:
            with context.wrap_socket(made, server_hostname="localhost", **more) as connection:
                yield connection

    def asked(self, *fields: str, host: str = "", **how: Any) -> bytes:
        """The whole answer to a GET on a connection of its own. Raises OSError if there was none."""
        name = host or ("mtls.localhost" if how.get("mutual") else "localhost")
        with self.connected(**how) as connection:
            return spoken(connection, name, *fields)


def spoken(connection: socket.socket, host: str, *fields: str) -> bytes:
    lines = ("GET / HTTP/1.1", f"Host: {host}", "Connection: close", *fields)
    connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    said = b"".join(iter(lambda: connection.recv(65536), b""))
    if not said:
        raise ConnectionError("no answer")
    return said


@contextlib.contextmanager
def serving(app: Any, using: Settings, registered: Registered = NOBODY) -> Iterator[ServingThread]:
    """Ends with the server's thread, and fails if that does not end."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2 if using.mtls_port else 1)]
    ports = [int(each.getsockname()[1]) for each in made]
    config = listener.config(app, using, log_config=None, lifespan="off")
    server = HttpServer(config, using, Ports(made[:1], made[1:]), registered)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield ServingThread(server, ports[0], ports[-1], authority_file(using))
    finally:
        server.should_exit = True
        thread.join(20)
        for each in made:
            each.close()
        assert not thread.is_alive()


def authority_file(using: Settings) -> Path:
    """Whom clients of a server with these settings trust; without TLS nobody asks."""
    return (using.tls_certificate_file or Path()).parent / "authority" / "test-authority.pem"
