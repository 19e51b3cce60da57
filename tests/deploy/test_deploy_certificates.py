"""nginx shows the gateway the certificates of apps: the file of examples/deploy in front of the gateway's own guard."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy_files import DEPLOY, loaded

from gateway.ground.http.client_certificates import SCOPE, client_certificate, thumbprint
from gateway.ground.http.guard import Guarded
from gateway.settings import Settings, contradictions
from tests.ports import free_port
from tests.worlds.nginx import HOST, Front, needs_nginx, running
from tests.worlds.tls import (
    Authority,
    Files,
    authority,
    client_context,
    client_files,
    der,
    named,
    self_signed_files,
    serving,
    written,
)

COMPOSE: dict[str, str] = loaded((DEPLOY / "compose.yaml").read_text())["x-settings"]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Tells what it knows of the client."""
    found = client_certificate(scope)
    told = {"asked": SCOPE in scope, "verified": found and found.verified, "thumbprint": found and found.thumbprint}
    body = json.dumps({**told, "subject": found and found.subject}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Late:
    """The gateway's guard, with the address that nginx has found a port for."""

    guarded: Guarded

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.guarded(scope, receive, send)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apps")


@pytest.fixture(scope="module")
def front(folder: Path) -> Iterator[Front]:
    late = Late()
    with serving(late, Settings()) as behind, running(folder, behind.port, authority(folder).file) as made:
        late.guarded = Guarded(app, using(made.mutual))  # type: ignore[arg-type]
        yield made


def using(port: int) -> Settings:
    """The settings of compose.yaml that are about certificates; nginx is on this machine."""
    names = ("CLIENT_CERTIFICATE_HEADER", "CLIENT_CERTIFICATE_VERIFY_HEADER")
    given: dict[str, Any] = {name.lower(): COMPOSE[f"AVAL_{name}"] for name in names}
    return Settings(
        public_url=f"https://{HOST}",
        mtls_public_url=f"https://{HOST}:{port}",
        trusted_proxies=("127.0.0.1/32",),
        **given,
    )


def ask(front: Front, client: Files | None, mutual: bool = True, **fields: str) -> tuple[int, dict[str, Any]]:
    context = client_context(front.folder / "tls-certificate", client)
    port = front.mutual if mutual else front.tls
    sent = {"Host": HOST, **{name.replace("_", "-"): value for name, value in fields.items()}, "Connection": "close"}
    lines = ("GET / HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", "")
    with socket.create_connection(("127.0.0.1", port), 15) as plain:
        with context.wrap_socket(plain, server_hostname=HOST) as made:
            made.sendall("\r\n".join(lines).encode())
            head, _, body = b"".join(iter(lambda: made.recv(65536), b"")).partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    return status, json.loads(body) if status == 200 else {}


def known(files: Files, verified: str) -> tuple[int, dict[str, Any]]:
    told = {"asked": True, "verified": verified, "thumbprint": thumbprint(der(files[0]))}
    return 200, {**told, "subject": f"CN={files[0].stem}"}


NOBODY = (200, {"asked": True, "verified": None, "thumbprint": None, "subject": None})


@needs_nginx
def test_a_certificate_of_an_authority_and_one_of_its_own_are_told_apart(front: Front, folder: Path) -> None:
    meter, solo = client_files(folder, "meter"), self_signed_files(folder, "solo")
    assert ask(front, meter) == known(meter, "ca")
    assert ask(front, solo) == known(solo, "unchecked")
    other = written(folder, "other", *Authority(folder / "other", "other").signs(named("other")))
    assert ask(front, other) == known(other, "unchecked")


@needs_nginx
def test_without_a_certificate_an_app_is_nobody_whatever_it_claims(front: Front, folder: Path) -> None:
    assert ask(front, None) == NOBODY
    pem = client_files(folder, "meter")[0].read_text().replace("\n", "%0A").replace(" ", "%20")
    assert ask(front, None, X_SSL_Client_Cert=pem, X_SSL_Client_Verify="SUCCESS") == NOBODY


@needs_nginx
def test_nobody_claims_another_certificate_than_is_shown(front: Front, folder: Path) -> None:
    meter, solo = client_files(folder, "meter"), self_signed_files(folder, "solo")
    pem = meter[0].read_text().replace("\n", "%0A").replace(" ", "%20")
    assert ask(front, solo, X_SSL_Client_Cert=pem, X_SSL_Client_Verify="SUCCESS") == known(solo, "unchecked")


@needs_nginx
def test_at_the_address_of_browsers_nobody_is_asked_and_nobody_is_believed(front: Front, folder: Path) -> None:
    meter = client_files(folder, "meter")
    pem = meter[0].read_text().replace("\n", "%0A").replace(" ", "%20")
    unasked = (200, {**NOBODY[1], "asked": False})
    assert ask(front, meter, mutual=False) == unasked
    assert ask(front, None, mutual=False, X_SSL_Client_Cert=pem, X_SSL_Client_Verify="SUCCESS") == unasked
    # nginx knows one name here, whatever port the caller writes behind it
    assert ask(front, None, mutual=False, Host=f"{HOST}:{front.mutual}", X_SSL_Client_Cert=pem) == unasked


@needs_nginx
def test_another_name_gets_no_certificate_here_either(front: Front) -> None:
    context = client_context(front.folder / "tls-certificate")
    with socket.create_connection(("127.0.0.1", front.mutual), 15) as plain:
        with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
            context.wrap_socket(plain, server_hostname="other.example.org")


def test_the_settings_of_compose_are_those_that_nginx_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPOSE.items():
        monkeypatch.setenv(name, value)
    given = Settings()
    assert list(contradictions(given)) == [] and given.mtls_public_url == f"{given.public_url}:8444"
    assert list(contradictions(using(free_port()))) == []
