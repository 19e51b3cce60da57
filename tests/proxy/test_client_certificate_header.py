"""What a trusted proxy says of the client certificate that it was shown, and what anybody else says of one."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.ground.http.client_certificates import SCOPE, client_certificate, from_header
from gateway.ground.http.guard import Guarded
from gateway.settings import Settings
from tests.worlds.tls import Files, client_files, der, self_signed_files, serving

HOST, MTLS_HOST = "gateway.example", "mtls.gateway.example"
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"  # both are this machine; a connection may come from either


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Tells what it knows of the client, and which fields it was sent."""
    found = client_certificate(scope)
    told = {
        "asked": SCOPE in scope,
        "verified": found and found.verified,
        "thumbprint": found and found.thumbprint,
        "subject": found and found.subject,
        "client": scope["client"][0],
        "fields": [name.decode() for name, _ in scope["headers"]],
    }
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Front:
    """Sends as a proxy would, or as anybody else."""

    def __init__(self, port: int) -> None:
        self.port = port

    def says(self, *fields: str, host: str = MTLS_HOST, source: str = PROXY) -> tuple[int, dict[str, Any]]:
        lines = ("GET / HTTP/1.1", f"Host: {host}", "Connection: close", *fields, "", "")
        with socket.create_connection((PROXY, self.port), 15, (source, 0)) as connection:
            connection.sendall("\r\n".join(lines).encode("latin-1"))
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(body)

    def told(self, *fields: str, **how: str) -> dict[str, Any]:
        status, found = self.says(*fields, **how)
        assert status == 200, found
        assert not [name for name in found["fields"] if "cert" in name or "ssl" in name], "the field goes no further"
        return found


def using(**more: Any) -> Settings:
    given = {
        "public_url": f"https://{HOST}",
        "mtls_public_url": f"https://{MTLS_HOST}",
        "trusted_proxies": (f"{PROXY}/32",),
        "client_certificate_header": "X-SSL-Client-Cert",
    }
    return Settings(**{**given, **more})


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    settings = using(**getattr(request, "param", {}))
    with serving(Guarded(app, settings), settings) as made:  # type: ignore[arg-type]
        yield Front(made.port)


@pytest.fixture
def meter(tmp_path: Path) -> Files:
    return client_files(tmp_path, "meter")


def escaped(files: Files) -> str:
    """As nginx's $ssl_client_escaped_cert."""
    return quote(files[0].read_text(), safe="")


def sequence(files: Files) -> str:
    """As RFC 9440 has it."""
    return f":{base64.b64encode(der(files[0])).decode()}:"


def envoy(files: Files) -> str:
    return f'By=spiffe://x/a;Hash=0f;Cert="{escaped(files)}";Subject="CN=\\"m,e;ter\\"";URI='


def expected(files: Files, verified: str) -> dict[str, Any]:
    found = from_header(sequence(files).encode(), "unchecked")
    return {"asked": True, "verified": verified, "thumbprint": found.thumbprint, "subject": "CN=meter"}


def known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("asked", "verified", "thumbprint", "subject")}


NOBODY = {"asked": True, "verified": None, "thumbprint": None, "subject": None}
NOT_ASKED = {**NOBODY, "asked": False}


@pytest.mark.parametrize("form", [escaped, sequence, envoy])
@pytest.mark.parametrize("name", ["X-SSL-Client-Cert", "x-ssl-client-cert"])
def test_a_trusted_proxy_is_believed_in_each_form(front: Front, meter: Files, form: Any, name: str) -> None:
    assert known(front.told(f"{name}: {form(meter)}")) == expected(meter, "unchecked")


@pytest.mark.parametrize(
    ("front", "name"),
    [
        ({"client_certificate_header": name}, name)
        for name in ("Client-Cert", "X-Forwarded-Client-Cert", "Of-My-Own-Cert", "Ssl-Client-Cert")
    ],
    indirect=["front"],
)
def test_the_header_has_the_name_of_the_setting_and_no_other(front: Front, meter: Files, name: str) -> None:
    assert known(front.told(f"{name}: {escaped(meter)}")) == expected(meter, "unchecked")
    assert known(front.told(f"X-SSL-Client-Cert: {escaped(meter)}")) == NOBODY


def test_without_a_certificate_a_client_is_nobody(front: Front) -> None:
    for fields in ((), ("X-SSL-Client-Cert:",), ("X-SSL-Client-Cert:  ",)):
        assert known(front.told(*fields)) == NOBODY


def test_who_is_not_the_proxy_does_not_reach_that_address_at_all(front: Front, meter: Files) -> None:
    for field in (f"X-SSL-Client-Cert: {escaped(meter)}", f"Client-Cert: {sequence(meter)}"):
        assert front.says(field, source=STRANGER)[0] == 400
        # nor by claiming to come through it
        assert front.says(field, "X-Forwarded-For: 127.0.0.1", source=STRANGER)[0] == 400


@pytest.mark.parametrize("source", [PROXY, STRANGER])
def test_at_the_public_address_no_header_is_believed_from_anybody(front: Front, meter: Files, source: str) -> None:
    """A proxy passes on there what a browser sends, unless it is told not to."""
    for field in (f"X-SSL-Client-Cert: {escaped(meter)}", f"Client-Cert: {sequence(meter)}"):
        assert known(front.told(field, host=HOST, source=source)) == NOT_ASKED


def test_the_callers_address_is_still_that_of_the_caller(front: Front, meter: Files) -> None:
    found = front.told(f"X-SSL-Client-Cert: {escaped(meter)}", "X-Forwarded-For: 203.0.113.9")
    assert found["client"] == "203.0.113.9" and known(found) == expected(meter, "unchecked")


def test_two_certificates_are_a_malformed_request(front: Front, meter: Files, tmp_path: Path) -> None:
    other = client_files(tmp_path, "other")
    first, second = f"X-SSL-Client-Cert: {escaped(meter)}", f"X-SSL-Client-Cert: {escaped(other)}"
    for fields in ((first, second), (first, first), (first, "X-SSL-Client-Cert:"), ("X-SSL-Client-Cert:", first)):
        assert front.says(*fields)[0] == 400
    both = escaped(meter) + escaped(other)
    for value in (f"{escaped(meter)},{escaped(other)}", f"{sequence(meter)}, {sequence(other)}", both):
        assert front.says(f"X-SSL-Client-Cert: {value}")[0] == 400
    for between in (",", ";"):
        assert front.says(f"X-SSL-Client-Cert: {envoy(meter)}{between}{envoy(other)}")[0] == 400


def test_what_is_no_certificate_is_a_malformed_request(front: Front, meter: Files) -> None:
    whole, pem = der(meter[0]), escaped(meter)
    spoilt = [
        "nonsense",
        "(null)",
        "::",
        ":####:",
        f":{base64.b64encode(whole[:-1]).decode()}:",
        f":{base64.b64encode(whole + b'x').decode()}:",
        base64.b64encode(whole).decode(),
        pem.replace("BEGIN%20CERTIFICATE", "BEGIN%20PRIVATE%20KEY"),
        pem.replace("%0A", ""),
        pem[: len(pem) // 2],
        quote(f"text before {meter[0].read_text()}", safe=""),
        'Hash=0f;Subject="CN=meter"',
        f'Subject="Cert="{pem}""',
    ]
    for value in spoilt:
        status, found = front.says(f"X-SSL-Client-Cert: {value}")
        assert status == 400 and found["detail"] == "client certificate", value
        assert value not in json.dumps(found)


VERIFY = {"client_certificate_verify_header": "X-SSL-Client-Verify"}


@pytest.mark.parametrize("front", [VERIFY], indirect=True)
def test_the_proxys_own_verdict_says_whose_a_certificate_is(front: Front, meter: Files) -> None:
    certificate = f"X-SSL-Client-Cert: {escaped(meter)}"
    assert known(front.told(certificate, "X-SSL-Client-Verify: SUCCESS")) == expected(meter, "ca")
    for verdict in ("FAILED:self-signed certificate", "FAILED:unable to verify the first certificate", "FAILED"):
        assert known(front.told(certificate, f"X-SSL-Client-Verify: {verdict}")) == expected(meter, "unchecked")
    for contradiction in ("NONE", "", "success", "SUCCESS FAILED", "0"):
        assert front.says(certificate, f"X-SSL-Client-Verify: {contradiction}")[0] == 400, contradiction
    assert front.says(certificate)[0] == 400, "a proxy that was to say, and says nothing"
    assert front.says(certificate, "X-SSL-Client-Verify: SUCCESS", "X-SSL-Client-Verify: SUCCESS")[0] == 400
    for verdict in ("NONE", "SUCCESS"):
        assert known(front.told(f"X-SSL-Client-Verify: {verdict}")) == NOBODY, "no certificate is nobody's"


@pytest.mark.parametrize("front", [{"client_certificate_proxy_verifies": True}], indirect=True)
def test_a_proxy_that_lets_nothing_else_pass_need_not_say_so_each_time(front: Front, meter: Files) -> None:
    assert known(front.told(f"X-SSL-Client-Cert: {escaped(meter)}")) == expected(meter, "ca")
    assert known(front.told()) == NOBODY


def test_without_a_word_of_the_proxy_no_certificate_is_one_of_a_cas(front: Front, meter: Files, tmp_path: Path) -> None:
    solo = self_signed_files(tmp_path, "meter-itself")
    for files in (meter, solo):
        found = front.told(f"X-SSL-Client-Cert: {escaped(files)}", "X-SSL-Client-Verify: SUCCESS")
        assert found["verified"] == "unchecked"


@pytest.mark.parametrize("front", [{"client_certificate_header": "", "mtls_public_url": ""}], indirect=True)
def test_where_no_header_is_set_there_is_no_such_address(front: Front, meter: Files) -> None:
    assert front.says(f"X-SSL-Client-Cert: {escaped(meter)}")[0] == 400
    assert front.says(f"X-SSL-Client-Cert: {escaped(meter)}", host="")[0] == 400
    assert known(front.told(f"X-SSL-Client-Cert: {escaped(meter)}", host=HOST)) == NOT_ASKED
