"""A whole gateway on TLS: apps prove who they are on the port for client certificates, and nowhere else (RFC 8705)."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.worlds.tls import ROOT, TlsGateway, client_files, der, gateway, self_signed_files

APP = """
client_id = "{name}"
name = {{ fr = "{name}", en = "{name}" }}
legal_entity = "An App Ltd"
website = "https://app.example"
privacy_policy = "https://app.example/privacy"
terms = "https://app.example/terms"
deletion_contact = "delete@app.example"
redirect_uris = ["https://app.example/callback"]
purposes = ["sign-in"]
tls_client_certificate_bound_access_tokens = true
{more}
"""
SIGN_IN = {
    "response_type": "code", "redirect_uri": "https://app.example/callback", "scope": "openid",
    "code_challenge": "c" * 43, "code_challenge_method": "S256",
}  # fmt: skip


def key(certificate: Path) -> str:
    """A key of a key set with the certificate in it; the key itself is not used."""
    x5c = base64.b64encode(der(certificate)).decode()
    point = {"x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
    members = {"kty": "EC", "crv": "P-256", "kid": "solo", **point}
    written = ", ".join(f'{name} = "{value}"' for name, value in members.items())
    return f'jwks = {{ keys = [{{ {written}, x5c = ["{x5c}"] }}] }}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsGateway]:
    folder = tmp_path_factory.mktemp("served")
    solo, _ = self_signed_files(folder, "solo")
    by_ca = 'token_endpoint_auth_method = "tls_client_auth"\ntls_client_auth_subject_dn = "CN=meter"'
    own = 'token_endpoint_auth_method = "self_signed_tls_client_auth"\n' + key(solo)

    def prepare(environment: dict[str, str]) -> None:
        for name, more in (("meter", by_ca), ("solo", own)):
            (folder / f"{name}.toml").write_text(APP.format(name=name, more=more), encoding="utf-8")
        aval = [sys.executable, "-m", "gateway"]
        subprocess.run([*aval, "migrate"], env=environment, cwd=ROOT, check=True, capture_output=True)
        added = subprocess.run([*aval, "apps", "add", *(str(folder / f"{name}.toml") for name in ("meter", "solo"))],
                               env=environment, cwd=ROOT, capture_output=True, text=True)  # fmt: skip
        assert added.returncode == 0, added.stdout + added.stderr

    with gateway(folder, prepare=prepare) as found:
        yield found


def push(served: TlsGateway, app: str, client: tuple[Path, Path] | None, mutual: bool) -> tuple[int, str]:
    body = urlencode({"client_id": app, **SIGN_IN}).encode()
    fields = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = served.request("POST", "/par", body=body, client=client, mutual=mutual, **fields)
    return answer.status, json.loads(answer.body).get("error", "")


def test_a_certificate_of_the_ca_and_one_that_was_registered(served: TlsGateway) -> None:
    meter, solo = client_files(served.folder, "meter"), (served.folder / "solo.pem", served.folder / "solo.key")
    assert push(served, "meter", meter, True) == (201, "")
    assert push(served, "solo", solo, True) == (201, "")


def test_the_wrong_one_or_none(served: TlsGateway) -> None:
    mallory = client_files(served.folder, "mallory")
    assert push(served, "meter", mallory, True) == (401, "invalid_client")
    assert push(served, "solo", mallory, True) == (401, "invalid_client")
    assert push(served, "meter", None, True) == (401, "invalid_client")
    assert push(served, "meter", None, False) == (401, "invalid_client")


def test_the_metadata_says_where(served: TlsGateway) -> None:
    said = json.loads(served.get("/.well-known/openid-configuration").body)
    assert said["mtls_endpoint_aliases"]["pushed_authorization_request_endpoint"] == f"{served.mtls_url}/par"
    assert "tls_client_auth" in said["token_endpoint_auth_methods_supported"]
