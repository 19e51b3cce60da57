"""Client certificates on the port that asks for them: whose are believed, and what is told of them (RFC 8705)."""

import base64
import hashlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.ground.http.client_certificates import SCOPE, ClientCertificate, client_certificate
from gateway.ground.http.guard import Guarded
from gateway.ground.http.tls import Registered
from tests.worlds.tls import (
    Authority,
    Files,
    ServingThread,
    authority,
    client_context,
    client_files,
    der,
    named,
    self_signed_files,
    serving,
    settings,
    spoken,
    written,
)

AGO = timedelta(hours=-2)


@dataclass
class Apps:
    """What apps have registered: a plain list, and a number that changes with it."""

    certificates: list[bytes] = field(default_factory=list)
    generation: int = 0
    fails: bool = False

    def are(self, *certificates: bytes) -> None:
        self.certificates = list(certificates)
        self.generation += 1

    def read(self) -> list[bytes]:
        if self.fails:
            raise RuntimeError("the database is away")
        return self.certificates

    def registered(self) -> Registered:
        return Registered(lambda: self.generation, self.read)


seen: list[ClientCertificate | None] = []


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Tells what it knows of the client."""
    found = client_certificate(scope)
    seen.append(found)
    told = {"asked": SCOPE in scope, "verified": found and found.verified, "thumbprint": found and found.thumbprint}
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def apps() -> Apps:
    seen.clear()
    return Apps()


@pytest.fixture
def served(tmp_path: Path, apps: Apps) -> Iterator[ServingThread]:
    using = settings(tmp_path)
    with serving(Guarded(app, using), using, apps.registered()) as made:  # type: ignore[arg-type]
        yield made


def told(made: ServingThread, client: Files | None, *fields: str, **how: Any) -> dict[str, Any]:
    head, _, body = made.asked(*fields, mutual=True, client=client, **how).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return dict(json.loads(body))


def refused(made: ServingThread, client: Files) -> bool:
    """Also in TLS 1.3, where the client's handshake is over before the server has looked at its certificate."""
    answers = 0
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(made.ca_file, client)
        context.minimum_version = context.maximum_version = version
        try:
            made.asked(mutual=True, context=context)
        except OSError:
            continue
        answers += 1
    assert answers in (0, 2), "both versions or none"
    return answers == 0


def x5t(file: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(der(file)).digest()).rstrip(b"=").decode()


# ---- who is believed


def test_a_certificate_of_the_authority_is_known_by_its_thumbprint(served: ServingThread, tmp_path: Path) -> None:
    meter = client_files(tmp_path, "meter")
    assert told(served, meter) == {"asked": True, "verified": "ca", "thumbprint": x5t(meter[0])}


def test_who_shows_none_is_let_in_and_known_as_nobody(served: ServingThread) -> None:
    assert told(served, None) == {"asked": True, "verified": None, "thumbprint": None}


def test_a_chain_over_an_intermediate_leads_to_the_authority(served: ServingThread, tmp_path: Path) -> None:
    between = Authority(tmp_path / "between", "between", authority(tmp_path))
    certificate, key = between.signs(named("meter"))
    whole = written(tmp_path, "whole", certificate, key, between.certificate)
    assert told(served, whole)["verified"] == "ca"
    assert refused(served, written(tmp_path, "alone", certificate, key)), "nobody knows what is between"


def test_certificates_of_others_are_refused(served: ServingThread, tmp_path: Path) -> None:
    root, other = authority(tmp_path), Authority(tmp_path / "other", "test authority")  # of the same name
    strangers = {
        "of another authority": other.signs(named("meter")),
        "ended": root.signs(named("meter"), begins=AGO, ends=timedelta(hours=-1)),
        "not begun": root.signs(named("meter"), begins=timedelta(hours=1)),
        "of a server": root.signs(named("meter"), usage=ExtendedKeyUsageOID.SERVER_AUTH),
    }
    for number, (what, made) in enumerate(strangers.items()):
        assert refused(served, written(tmp_path, f"stranger-{number}", *made)), what
    assert refused(served, self_signed_files(tmp_path, "solo"))
    assert seen == [], "no request of theirs has reached the app"


def test_a_certificate_that_has_signed_itself_is_believed_once_it_is_registered(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    solo, other = self_signed_files(tmp_path, "solo"), self_signed_files(tmp_path, "other")
    assert refused(served, solo)
    apps.are(der(solo[0]))
    assert told(served, solo) == {"asked": True, "verified": "registered", "thumbprint": x5t(solo[0])}
    assert refused(served, other)
    again = self_signed_files(tmp_path, "again")  # the same name with another key
    assert refused(served, again)
    apps.are(der(other[0]))
    assert refused(served, solo) and told(served, other)["verified"] == "registered"
    apps.are()
    assert refused(served, other) and told(served, client_files(tmp_path, "meter"))["verified"] == "ca"


def test_an_ended_certificate_is_refused_also_when_it_is_registered(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    ended = self_signed_files(tmp_path, "ended", ends=timedelta(hours=-1))
    apps.are(der(ended[0]))
    assert refused(served, ended)


def test_an_app_cannot_sign_for_others_with_what_it_has_registered(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    """Mallory's own certificate may sign others, as many tools make them. OpenSSL takes it for a CA."""
    mallory = Authority(tmp_path / "mallory", "mallory")
    own = written(tmp_path, "mallory", mallory.certificate, mallory.key)
    forged = written(tmp_path, "forged", *mallory.signs(named("meter")))
    between = Authority(tmp_path / "between", "between", mallory)
    deeper, key = between.signs(named("meter"))
    apps.are(der(mallory.certificate))
    assert told(served, own)["verified"] == "registered"
    assert refused(served, forged)
    assert refused(served, written(tmp_path, "deeper", deeper, key, between.certificate))
    apps.are(der(mallory.certificate), der(forged[0]))
    assert refused(served, forged)


def mimic(name: str, of: Authority | None = None) -> bytes:
    """Mallory's own certificate in another's name, with the identifier of that one's key: issuers are found by both."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(name)).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=3))
    if of:
        identifier = x509.SubjectKeyIdentifier.from_public_key(of.key.public_key())
        made = made.add_extension(identifier, critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return der(made.sign(key, hashes.SHA256()))


@pytest.mark.parametrize("name", ["test authority", "TEST  Authority "])
def test_nobody_shuts_the_apps_of_an_authority_out_by_registering_its_name(
    served: ServingThread, apps: Apps, tmp_path: Path, name: str
) -> None:
    root, meter = authority(tmp_path), client_files(tmp_path, "meter")
    between = Authority(tmp_path / "between", "between", root)
    certificate, key = between.signs(named("meter"))
    whole = written(tmp_path, "whole", certificate, key, between.certificate)
    # with its own identifier it is no issuer of others, so the name alone does no harm
    apps.are(*(der(self_signed_files(tmp_path, each)[0]) for each in (name, "between")))
    assert told(served, meter)["verified"] == told(served, whole)["verified"] == "ca"
    apps.are(mimic(name), mimic(name, root), mimic("between"), mimic("between", between))
    assert told(served, meter)["verified"] == told(served, whole)["verified"] == "ca"


def test_nobody_shuts_another_app_out_by_registering_its_name(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    (tmp_path / "mallory").mkdir()
    solo, as_ca = self_signed_files(tmp_path, "solo"), self_signed_files(tmp_path, "two", ca=True)
    mimics = [der(self_signed_files(tmp_path / "mallory", name, ca=True)[0]) for name in ("solo", "two")]
    for order in ([*mimics, der(solo[0]), der(as_ca[0])], [der(solo[0]), der(as_ca[0]), *mimics]):
        apps.are(*order)
        assert told(served, solo)["verified"] == told(served, as_ca)["verified"] == "registered"


def test_only_what_has_signed_itself_is_believed_because_it_is_registered(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "other")
    theirs = written(tmp_path, "theirs", *other.signs(named("theirs")))
    apps.are(der(theirs[0]))
    assert refused(served, theirs)


def test_a_registered_certificate_of_the_authority_is_still_the_authoritys(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    meter = client_files(tmp_path, "meter")
    apps.are(der(meter[0]))
    assert told(served, meter)["verified"] == "ca"


def test_what_is_no_certificate_among_the_registered_is_in_nobodys_way(
    served: ServingThread, apps: Apps, tmp_path: Path
) -> None:
    solo = self_signed_files(tmp_path, "solo")
    apps.are(b"", b"nonsense", der(solo[0])[:-9], der(solo[0]), b"\x30\x03\x02\x01\x01")
    assert told(served, solo)["verified"] == "registered"
    assert told(served, client_files(tmp_path, "meter"))["verified"] == "ca"


def test_while_the_registered_cannot_be_read_those_before_are_believed(
    served: ServingThread, apps: Apps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ground.http.tls.AGAIN_SECONDS", 0.0)
    solo, other = self_signed_files(tmp_path, "solo"), self_signed_files(tmp_path, "other")
    apps.are(der(solo[0]))
    assert told(served, solo)["verified"] == "registered"
    apps.fails = True
    apps.are(der(other[0]))
    assert told(served, solo)["verified"] == "registered" and refused(served, other)
    assert served.server.fault() == "RuntimeError", "and nothing of what it says"
    apps.fails = False
    assert told(served, other)["verified"] == "registered" and refused(served, solo)
    assert served.server.fault() == ""


def test_authorities_that_were_replaced_are_believed_without_a_restart(served: ServingThread, tmp_path: Path) -> None:
    meter, other = client_files(tmp_path, "meter"), Authority(tmp_path / "other", "other")
    theirs = written(tmp_path, "theirs", *other.signs(named("theirs")))
    trusted = served.ca_file.read_bytes()
    clients = tmp_path / "trusted.pem"  # what the test's own clients trust stays
    clients.write_bytes(trusted)
    assert told(served, meter)["verified"] == "ca" and refused(served, theirs)
    served.ca_file.write_bytes(other.file.read_bytes())
    served.ca_file = clients
    assert told(served, theirs)["verified"] == "ca" and refused(served, meter)


# ---- sessions that go on


def resumable(made: ServingThread, client: Files) -> ssl.SSLContext:
    context = client_context(made.ca_file, client)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_a_session_that_goes_on_is_of_the_same_certificate(served: ServingThread, apps: Apps, tmp_path: Path) -> None:
    meter, solo = client_files(tmp_path, "meter"), self_signed_files(tmp_path, "solo")
    apps.are(der(solo[0]))
    for client, verified in ((meter, "ca"), (solo, "registered")):
        context = resumable(served, client)
        session = None
        for number in range(3):
            with served.connected(True, context=context, session=session) as connection:
                assert connection.session_reused == (number > 0)
                session = connection.session
                found = json.loads(spoken(connection, "mtls.localhost").partition(b"\r\n\r\n")[2])
            assert (found["verified"], found["thumbprint"]) == (verified, x5t(client[0]))


def test_no_session_outlives_a_registration(served: ServingThread, apps: Apps, tmp_path: Path) -> None:
    solo = self_signed_files(tmp_path, "solo")
    apps.are(der(solo[0]))
    context = resumable(served, solo)
    with served.connected(True, context=context) as first:
        session = first.session
        spoken(first, "mtls.localhost")
    with served.connected(True, context=context, session=session) as second:
        assert second.session_reused
        spoken(second, "mtls.localhost")
    apps.are()
    with pytest.raises(OSError):
        served.asked(mutual=True, context=context, session=session)


def test_no_session_outlives_its_certificate(
    served: ServingThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = resumable(served, client_files(tmp_path, "meter"))
    with served.connected(True, context=context) as first:
        session = first.session
        spoken(first, "mtls.localhost")
    later = SimpleNamespace(time=lambda: time.time() + 8 * 86400, monotonic=time.monotonic)
    monkeypatch.setattr("gateway.ground.http.tls.time", later)
    with pytest.raises(OSError):
        served.asked(mutual=True, context=context, session=session)
    monkeypatch.undo()
    assert b" 200 " in served.asked(mutual=True, context=context, session=session).partition(b"\r\n")[0]


# ---- what is told of one


def test_the_name_and_the_other_names_of_a_certificate(served: ServingThread, tmp_path: Path) -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mètres, SA"),
            x509.NameAttribute(NameOID.COMMON_NAME, "meter"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "meter@example.org"),
        ]
    )
    made, key = authority(tmp_path).signs(
        subject,
        x509.DNSName("meter.example.org"),
        x509.DNSName("two.example.org"),
        x509.UniformResourceIdentifier("https://meter.example.org/app"),
        x509.IPAddress(ip_address("192.0.2.7")),
        x509.IPAddress(ip_address("2001:db8::7")),
        x509.RFC822Name("meter@example.org"),
    )
    told(served, written(tmp_path, "meter", made, key))
    [found] = seen
    assert found is not None
    assert found.subject == "1.2.840.113549.1.9.1=meter@example.org,CN=meter,O=Mètres\\, SA,C=FR"
    for spelling in (found.subject, "emailAddress=meter@example.org,CN=meter,O=M\\c3\\a8tres\\2c SA,C=FR"):
        assert found.has_subject(spelling), spelling
    for other in ("", "CN=meter", "CN=meter,O=Mètres\\, SA,C=FR", "C=FR,O=Mètres\\, SA,CN=meter", "nonsense", "CN"):
        assert not found.has_subject(other), other
    assert found.san_dns == ("meter.example.org", "two.example.org")
    assert found.san_uri == ("https://meter.example.org/app",)
    assert found.san_ip == ("192.0.2.7", "2001:db8::7")
    assert found.san_email == ("meter@example.org",)


def test_nothing_that_a_certificate_does_not_say_is_a_name(served: ServingThread, tmp_path: Path) -> None:
    nameless = written(tmp_path, "nameless", *authority(tmp_path).signs(x509.Name([])))
    assert told(served, nameless)["verified"] == "ca"
    for found in (seen[0], ClientCertificate.of(b"no certificate", "unchecked")):
        assert found is not None and found.subject == ""
        assert not found.has_subject("") and not found.has_subject("CN=meter")
        assert (found.san_dns, found.san_uri, found.san_ip, found.san_email) == ((), (), (), ())


def test_all_requests_of_a_connection_share_one_reading(served: ServingThread, tmp_path: Path) -> None:
    with served.connected(True, client_files(tmp_path, "meter")) as connection:
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: mtls.localhost\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert len(seen) == 3 and seen[0] is not None and all(each is seen[0] for each in seen)


# ---- each port has its own address


def test_each_port_answers_to_its_own_name_only(served: ServingThread, tmp_path: Path) -> None:
    meter = client_files(tmp_path, "meter")
    assert b" 400 " in served.asked(mutual=True, client=meter, host="localhost").partition(b"\r\n")[0]
    assert b" 400 " in served.asked(host="mtls.localhost").partition(b"\r\n")[0]
    assert seen == []
    assert b" 200 " in served.asked().partition(b"\r\n")[0] and seen == [None]


FORGED = (
    *("X-SSL-Client-Cert", "X-SSL-Cert", "X-SSL-Client-Verify", "SSL_CLIENT_CERT", "SSL-Client-Cert"),
    *("Ssl-Client-Verify", "Ssl-Client-Subject-Dn", "X_SSL_CLIENT_CERT"),
    *("Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Certificate", "X-Forwarded-Client-Cert"),
    *("X-Forwarded-Tls-Client-Cert", "X-Tls-Client-Cert", "X-Amzn-Mtls-Clientcert", "X-ARR-ClientCert"),
)  # fmt: skip


@pytest.mark.parametrize("mutual", [False, True])
def test_a_certificate_in_a_header_is_nobodys_on_either_port(tmp_path: Path, mutual: bool) -> None:
    """Also where a proxy is trusted with it, and from its own machine: here TLS itself says what was shown."""
    headers: list[str] = []

    async def hears(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers.extend(name.decode() for name, _ in scope["headers"])
        await app(scope, receive, send)

    seen.clear()
    using = settings(tmp_path, trusted_proxies=("127.0.0.1/32",), client_certificate_header="X-SSL-Client-Cert")
    value = f":{base64.b64encode(der(client_files(tmp_path, 'alice')[0])).decode()}:"
    with serving(Guarded(hears, using), using) as made:  # type: ignore[arg-type]
        for name in FORGED:
            assert b" 200 " in made.asked(f"{name}: {value}", mutual=mutual).partition(b"\r\n")[0]
    assert len(seen) == len(FORGED) and set(seen) == {None}
    assert {name for name in headers if "cert" in name or "ssl" in name or "tls" in name} == set()
