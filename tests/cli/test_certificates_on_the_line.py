"""TLS as an operator meets it: what is refused at the start, what `aval doctor` says, a whole gateway that serves."""

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from cryptography import x509

from gateway.settings import Settings, contradictions, unsafe
from tests.ports import free_port
from tests.postgres import until
from tests.worlds.tls import (
    Files,
    TlsGateway,
    authority,
    client_context,
    client_files,
    gateway,
    self_signed_files,
    server_files,
)

Run = Callable[..., Aval]

URLS = {"public_url": "https://localhost:8400", "mtls_public_url": "https://localhost:8401"}
PAIR = {"tls_certificate_file": "a.pem", "tls_key_file": "a.key"}
HEADER = {"client_certificate_header": "Client-Cert", "trusted_proxies": ["127.0.0.1/32"]}


@pytest.mark.parametrize(
    ("given", "faulty"),
    [
        ({}, set()),
        ({**URLS, **PAIR, "mtls_port": 8401}, set()),
        ({**URLS, **HEADER}, set()),
        ({**URLS, **HEADER, "client_certificate_verify_header": "X-SSL-Client-Verify"}, set()),
        ({**URLS, **HEADER, "client_certificate_proxy_verifies": True}, set()),
        ({"public_url": URLS["public_url"], "tls_certificate_file": "a.pem"}, {"tls_key_file"}),
        ({"public_url": URLS["public_url"], "tls_key_file": "a.key"}, {"tls_certificate_file"}),
        (PAIR, {"public_url"}),
        ({**URLS, "mtls_port": 8401}, {"mtls_port"}),
        ({**URLS, **PAIR, "mtls_port": 8400}, {"mtls_port"}),
        ({**URLS, **PAIR, "mtls_port": 8401, "mtls_public_url": ""}, {"mtls_public_url"}),
        ({**URLS, **PAIR}, {"mtls_public_url"}),
        ({**URLS, **PAIR, "mtls_port": 8401, "mtls_public_url": "http://localhost:8401"}, {"mtls_public_url"}),
        ({**URLS, **PAIR, "mtls_port": 8401, "mtls_public_url": "https://localhost:8400"}, {"mtls_public_url"}),
        (
            {
                **PAIR,
                "mtls_port": 8401,
                "public_url": "https://gw.example",
                "mtls_public_url": "https://GW.example:443",
            },
            {"mtls_public_url"},
        ),
        ({**URLS, **HEADER, "trusted_proxies": []}, {"client_certificate_header"}),
        ({**HEADER, "public_url": URLS["public_url"]}, {"mtls_public_url"}),
        ({"client_certificate_verify_header": "X-SSL-Client-Verify"}, {"client_certificate_verify_header"}),
        ({**URLS, **HEADER, "client_certificate_verify_header": "client-cert"}, {"client_certificate_verify_header"}),
        ({"client_certificate_proxy_verifies": True}, {"client_certificate_proxy_verifies"}),
        (
            {
                **URLS,
                **HEADER,
                "client_certificate_verify_header": "X-SSL-Client-Verify",
                "client_certificate_proxy_verifies": True,
            },
            {"client_certificate_proxy_verifies"},
        ),
    ],
)
def test_settings_that_cannot_stand_beside_each_other_are_named(given: dict[str, Any], faulty: set[str]) -> None:
    assert {name for name, _ in contradictions(Settings(**given))} == faulty


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(
            ("AVAL_CLIENT_CERTIFICATE_HEADER", name)
            for name in ("Cookie", "Host", "X Cert", "X_Cert", "-cert", "X-Cert:")
        ),
        ("AVAL_CLIENT_CERTIFICATE_VERIFY_HEADER", "Authorization"),
        ("AVAL_MTLS_PORT", "65536"),
        ("AVAL_MTLS_PUBLIC_URL", "mtls.example"),
        ("AVAL_MTLS_PUBLIC_URL", "https://mtls.example/path"),
    ],
)
def test_a_setting_that_can_never_be_right_is_refused_with_its_name(
    aval: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = aval("settings")
    assert done.code == 2 and done.err.startswith(f"aval: {variable}: ")


def put(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"AVAL_{name.upper()}", str(value))


def test_contradictions_are_refused_at_the_start_and_fail_in_doctor(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, mtls_port=8401)
    done = aval("serve")
    assert done.code == 2 and "aval: mtls_port: " in done.err and "aval: mtls_public_url: " in done.err
    assert not folder.exists()
    assert {"settings.mtls_port", "settings.mtls_public_url"} <= failed(aval).keys()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    found = server_files(tmp_path, "localhost")
    put(monkeypatch, tls_certificate_file=found[0], tls_key_file=found[1], public_url="https://localhost:8400")
    return found


def rows(aval: Run) -> list[dict[str, str]]:
    return [json.loads(line) for line in aval("doctor", "--json").out.splitlines()]


def failed(aval: Run) -> dict[str, str]:
    return {row["name"]: row["found"] for row in rows(aval) if row["status"] == "fail"}


def test_a_production_that_ends_tls_itself_needs_no_proxy(
    aval: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, mode="production", public_url="https://gateway.example", operator_contact="+33 1 00 00 00 00")
    put(monkeypatch, keys_dir=tmp_path / "keys", mark_file=tmp_path / "mark" / "mark")
    assert list(unsafe(Settings())) == [] and list(contradictions(Settings())) == []
    found = {row["name"]: row for row in rows(aval)}
    assert found["public_url"]["status"] == "ok", found["public_url"]


def about_tls(aval: Run) -> list[tuple[str, str]]:
    return [(row["status"], row["found"]) for row in rows(aval) if row["name"] in ("tls certificate", "tls key")]


def test_doctor_says_until_when_the_certificate_is_good(aval: Run, files: Files, tmp_path: Path) -> None:
    server_files(tmp_path, "localhost", ends=timedelta(days=60))
    [(status, told)] = about_tls(aval)
    assert status == "ok" and told.startswith("ends 2")
    server_files(tmp_path, "localhost", ends=timedelta(days=13))
    [(status, told)] = about_tls(aval)
    assert status == "warn" and told.startswith("ends on ")
    server_files(tmp_path, "localhost", ends=timedelta(minutes=-5))
    [(status, told)] = about_tls(aval)
    assert status == "fail" and told.startswith("ended on ")


@pytest.mark.parametrize(
    ("names", "url", "fits"),
    [
        (("consent.example.org",), "https://consent.example.org", True),
        (("Consent.Example.org",), "https://consent.example.org:8443", True),
        (("*.example.org",), "https://consent.example.org", True),
        (("*.example.org",), "https://a.consent.example.org", False),
        (("*.example.org",), "https://example.org", False),
        (("example.org",), "https://consent.example.org", False),
        (("localhost",), "https://127.0.0.1", True),
        (("localhost",), "https://127.0.0.2", False),
    ],
)
def test_doctor_says_whether_the_certificate_is_for_this_address(
    aval: Run,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    url: str,
    fits: bool,
) -> None:
    server_files(tmp_path, *names, ends=timedelta(days=60))
    put(monkeypatch, public_url=url)
    [(status, told)] = about_tls(aval)
    assert status == ("ok" if fits else "fail") and (fits or "not for public_url" in told)


def test_the_certificate_is_also_for_the_address_of_mutual_tls(
    aval: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, mtls_port=8401, mtls_public_url="https://mtls.example.org")
    assert "not for mtls_public_url (mtls.example.org)" in failed(aval)["tls certificate"]
    server_files(tmp_path, "localhost", "mtls.example.org")
    assert "tls certificate" not in failed(aval)


def test_a_key_that_is_not_the_certificates_is_told_by_doctor_and_refused_at_the_start(
    aval: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, other = server_files(tmp_path, "localhost", name="other")
    put(monkeypatch, tls_key_file=other)
    assert "the key is not that of the certificate" in failed(aval)["tls certificate"]
    put(monkeypatch, port=free_port())
    done = aval("serve")
    assert done.code == 2 and "the key is not that of the certificate" in done.err


def test_a_file_that_is_not_there_is_named(
    aval: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, tls_certificate_file=tmp_path / "nowhere.pem", port=free_port())
    assert f"{tmp_path / 'nowhere.pem'}: No such file" in failed(aval)["tls certificate"]
    done = aval("serve")
    assert done.code == 2 and str(tmp_path / "nowhere.pem") in done.err


def test_a_key_file_that_everybody_can_read_is_refused_and_one_of_a_group_is_not(
    aval: Run, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files[1].chmod(0o640)
    assert "tls key" not in failed(aval)
    files[1].chmod(0o644)
    assert f"{files[1]} is open to other users" in failed(aval)["tls key"]
    done = aval("serve")
    assert done.code == 2 and f"chmod o= {files[1]}" in done.err


def test_doctor_looks_at_the_authorities_of_apps(
    aval: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, mtls_port=8401, mtls_public_url="https://localhost:8401", mtls_ca_file=authority(tmp_path).file)
    assert {row["name"]: row["found"] for row in rows(aval)}["mtls_ca_file"] == "1 CA"
    ended = self_signed_files(tmp_path, "ended", ca=True, ends=timedelta(hours=-1))[0]
    both = tmp_path / "both.pem"
    both.write_bytes(authority(tmp_path).file.read_bytes() + ended.read_bytes())
    put(monkeypatch, mtls_ca_file=both)
    assert {row["name"]: row["found"] for row in rows(aval)}["mtls_ca_file"].startswith("1 of 2 CAs have ended")
    both.write_text("no certificate")
    assert "there is no certificate in it" in failed(aval)["mtls_ca_file"]


def test_a_port_that_is_taken_is_named(aval: Run, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        put(monkeypatch, port=port)
        done = aval("serve")
        assert done.code == 2 and f"127.0.0.1:{port}" in done.err and "AVAL_PORT" in done.err
        put(monkeypatch, port=free_port(), mtls_port=port, mtls_public_url=f"https://localhost:{port}")
        done = aval("serve")
        assert done.code == 2 and f"127.0.0.1:{port}" in done.err and "AVAL_MTLS_PORT" in done.err


# ---- a whole gateway


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsGateway]:
    with gateway(tmp_path_factory.mktemp("tls")) as made:
        yield made
        assert made.ends() == 0


def test_people_are_served_over_tls_with_no_proxy_in_front(served: TlsGateway) -> None:
    page = served.get("/sign-in", Accept="text/html")
    assert page.status == 200 and page.headers["strict-transport-security"].startswith("max-age=")
    assert "secure" in page.headers.get("set-cookie", "secure").lower()
    found = json.loads(served.get("/.well-known/oauth-authorization-server").body)
    assert found["issuer"] == served.url and found["token_endpoint"].startswith(served.url)


def test_apps_reach_the_second_port_with_a_certificate_and_without(served: TlsGateway) -> None:
    meter = client_files(served.folder, "meter")
    for client in (meter, None):
        assert served.get("/healthz", client=client, mutual=True).status == 200
    with pytest.raises(OSError):
        served.get("/healthz", client=self_signed_files(served.folder, "mallory"))
    assert served.get("/healthz", client=meter, mutual=True, Host=f"localhost:{served.port}").status == 400


def serial(made: TlsGateway) -> int:
    with socket.create_connection(("127.0.0.1", made.port), 15) as plain:
        with client_context(made.ca_file).wrap_socket(plain, server_hostname="localhost") as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(True) or b"").serial_number


def tls_state(made: TlsGateway) -> str:
    return str(json.loads(made.get("/readyz").body)["checks"].get("tls", "ok"))


def test_a_certificate_that_was_replaced_is_shown_and_one_that_is_spoilt_is_told(served: TlsGateway) -> None:
    before = serial(served)
    certificate, _ = server_files(served.folder, "localhost")
    after = serial(served)
    assert after != before and tls_state(served) == "ok"
    good = certificate.read_bytes()
    certificate.write_bytes(good[:100])
    assert serial(served) == after, "the old one goes on"
    until(lambda: tls_state(served) == "degraded", "told")
    assert served.get("/readyz").status == 200 and "the old one goes on" in served.log.read_text()
    certificate.write_bytes(good)
    until(lambda: tls_state(served) == "ok", "told")
    assert "PRIVATE KEY" not in served.log.read_text()


@pytest.mark.postgres
def test_several_processes_behind_both_ports(database: str, tmp_path: Path) -> None:
    with gateway(tmp_path, "--processes", "2", AVAL_DATABASE_URL=database) as made:
        meter = client_files(tmp_path, "meter")

        def both(path: str, **how: Any) -> bool:
            with contextlib.suppress(OSError, ssl.SSLError):
                assert made.get(path, **how).status == 404
            lines = (json.loads(line) for line in made.log.read_text().splitlines() if line.startswith("{"))
            return {line["process"] for line in lines if line.get("path") == path} == {"1", "2"}

        until(lambda: both("/asked-on-the-main-port"), "both answer")
        until(lambda: both("/asked-with-a-certificate", client=meter), "both answer")
        before = serial(made)
        server_files(tmp_path, "localhost")
        assert all(serial(made) != before for _ in range(8)), "each process shows the new one"
        assert made.ends() == 0
