"""nginx with the file of examples/deploy, on ports of this machine."""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
# As installed, or as `make nginx` has unpacked it.
_PLACES = ("/usr/sbin", str(ROOT / ".venv" / "nginx" / "usr" / "sbin"))
NGINX = shutil.which("nginx") or shutil.which("nginx", path=":".join(_PLACES))
CONFIG = (ROOT / "examples" / "deploy" / "nginx.conf").read_text()
HOST = "consent.example.org"
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is missing: make nginx (needs apt-get)")


def certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    )
    made = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False).sign(key, hashes.SHA256())
    (folder / "tls-certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls-key").write_bytes(pem)


def here(
    folder: Path, gateway: int, tls: int, plain: int, mutual: int = 0, ca: Path | None = None, host: str = HOST
) -> Path:
    """The file with this machine's name, ports and folders in place of those of the containers."""
    text = CONFIG.replace("/tmp/", f"{folder}/").replace("/run/secrets/", f"{folder}/").replace(HOST, host)
    text = text.replace("/dev/stdout", f"{folder}/log")
    mutual = mutual or free_port()
    text = text.replace("listen 8444", f"listen 127.0.0.1:{mutual}").replace("$host:8444", f"$host:{mutual}")
    if ca:
        text = text.replace(f"# ssl_client_certificate {folder}/apps-ca;", f"ssl_client_certificate {ca};")
    text = re.sub(r"server gateway-\d:8400", f"server 127.0.0.1:{gateway}", text, count=1)
    text = re.sub(r"server gateway-\d:8400", f"server 127.0.0.1:{free_port()}", text)  # nobody is there
    text = (
        re.sub(r" *listen \[::\].*\n", "", text)
        .replace("8443", f"127.0.0.1:{tls}")
        .replace("8080", f"127.0.0.1:{plain}")
    )
    if host != HOST:  # whose address has a port, which callers name
        text = text.replace("Host $host;", f"Host $host:{tls};")
    file = folder / "nginx.conf"
    file.write_text("daemon off;\n" + text.replace("worker_processes auto", "worker_processes 1"))
    return file


@dataclass
class Front:
    folder: Path
    tls: int
    plain: int
    mutual: int = 0

    def open(self, host: str = HOST) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder / "tls-certificate"))
        context.check_hostname = host == HOST
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls), 10), server_hostname=host)

    def ask(self, path: str, fields: str = "") -> str:
        with self.open() as made:
            made.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: made.recv(65536), b"")).decode()


@contextlib.contextmanager
def running(folder: Path, behind: int, ca: Path | None = None) -> Iterator[Front]:
    """`behind`: the port of what stands in the gateway's place. `ca`: whose client certificates nginx verifies."""
    certificate(folder)
    made = Front(folder, free_port(), free_port(), free_port())
    with started(made, behind, ca):
        yield made


@contextlib.contextmanager
def started(front: Front, behind: int, ca: Path | None = None, host: str = HOST) -> Iterator[None]:
    """The same with ports and a certificate of the caller's: tls-certificate and tls-key in the folder."""
    assert NGINX
    front.folder.chmod(0o755)
    file = here(front.folder, behind, front.tls, front.plain, front.mutual, ca, host)
    process = subprocess.Popen([NGINX, "-p", str(front.folder), "-c", str(file)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", front.tls), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
