"""Keys, certificates and files of a run. Everything here is made anew, and is good for tests only."""

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from examples.certification.plans import PLANS, SCOPE, Plan

ORGANISATION = Path(__file__).parents[1] / "organisations" / "city-energy.toml"
PEM, DAYS = serialization.Encoding.PEM, 90
# Written as the suite's own paths in plans.py.
ADDRESSES = ("post_logout_redirect_uris", "backchannel_logout_uri", "backchannel_client_notification_endpoint")
SECOND = "?dummy1=lorem&dummy2=ipsum"  # the suite's second redirect address
IN_SCOPE = f"""
[[scope]]
id = "{SCOPE}"
purpose = "energy-advice"
valid_for = "P6M"
retention = "P6M"

[[scope.data]]
dataset = "energy.electricity.usage"
fields = ["interval.start", "interval.value"]
history = "P13M"
future = true
frequency = {{ times = 24, per = "day" }}
"""


@dataclass(frozen=True)
class Where:
    """The three addresses, as origins."""

    gateway: str
    mtls: str
    suite: str

    def of_suite(self, plan: str, path: str) -> str:
        return f"{self.suite}/test/a/aval-{plan}/{path}"


# ---- keys


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


def _jwk(key: ec.EllipticCurvePrivateKey, kid: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(public, private)."""
    numbers = key.private_numbers()
    point = numbers.public_numbers
    public = {"kty": "EC", "crv": "P-256", "x": _number(point.x), "y": _number(point.y), "kid": kid, "alg": "ES256",
              "use": "sig"}  # fmt: skip
    return public, {**public, "d": _number(numbers.private_value)}


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@dataclass(frozen=True)
class Authority:
    """Whose certificates the gateway believes at its address for certificates."""

    key: ec.EllipticCurvePrivateKey
    name: str = "certification run"

    @property
    def certificate(self) -> x509.Certificate:
        return _certificate(self.key, self.name, ca=True)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    hosts: tuple[str, ...] = (),
    by: Authority | None = None,
    ca: bool = False,
) -> x509.Certificate:
    """`by`: who signs it; None: it signs itself."""
    signer = by.key if by else key
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(by.name if by else name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca or by:
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = made.add_extension(usage, critical=True)
    if hosts:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in hosts]), critical=False)
    return made.sign(signer, hashes.SHA256())


# ---- files


def write(folder: Path, where: Where, suite_ca: Path | None = None) -> None:
    """All of it; what is there already is written over."""
    for name in ("apps", "suite"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    _put(folder / "aval.toml", _settings(folder.resolve(), where, suite_ca))
    _put(folder / "city-energy.toml", ORGANISATION.read_text(encoding="utf-8") + IN_SCOPE)
    hosts = tuple({urlsplit(one).hostname or "localhost": None for one in (where.gateway, where.mtls)})
    key = ec.generate_private_key(ec.SECP256R1())
    _put(folder / "tls.pem", _certificate(key, hosts[0], hosts).public_bytes(PEM).decode())
    _put(folder / "tls.key", _pem(key))
    authority = Authority(ec.generate_private_key(ec.SECP256R1()))
    _put(folder / "apps-ca.pem", authority.certificate.public_bytes(PEM).decode())
    for name, plan in PLANS.items():
        _write_plan(folder, where, authority, name, plan)


def _write_plan(folder: Path, where: Where, authority: Authority, name: str, plan: Plan) -> None:
    told: dict[str, Any] = {
        "alias": f"aval-{name}",
        "description": plan.expression,
        "server": {"discoveryUrl": f"{where.gateway}/.well-known/openid-configuration"},
    }
    if plan.resource:
        told["resource"] = {"resourceUrl": f"{where.mtls if plan.at_mtls else where.gateway}{plan.resource}"}
    if plan.signals:  # the one audience of a stream is the app that made it
        told["ssf"] = {"transmitter": {"issuer": where.gateway}, "stream": {"audience": f"{name}-client"}}
    for role, app in plan.apps.items():
        client_id = f"{name}-{role.replace('_', '-')}"
        declared, about, certificate = _app(client_id, app, where, authority, name)
        scope = {"scope": plan.scope} if plan.scope else {}
        told[role] = {"client_id": client_id, **scope, **about, **plan.more.get(role, {})}
        if certificate and role in ("client", "client2"):
            told["mtls" if role == "client" else "mtls2"] = certificate
        lines = [f"{key} = {_toml(value)}" for key, value in declared.items()]
        _put(folder / "apps" / f"{client_id}.toml", "\n".join(lines) + "\n")
    _put(folder / "suite" / f"{name}.json", json.dumps(told, indent=2) + "\n")


def _app(
    client_id: str, app: Mapping[str, Any], where: Where, authority: Authority, plan: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """(its declaration, what the suite is told beyond its client_id, its certificate and key)."""
    callback, site = where.of_suite(plan, "callback"), "https://suite.example"
    declared: dict[str, Any] = {
        "client_id": client_id,
        "name": {"fr": f"Essai {client_id}", "en": f"Test {client_id}"},
        "legal_entity": "Conformance test",
        "website": site,
        "privacy_policy": f"{site}/privacy",
        "terms": f"{site}/terms",
        "deletion_contact": "tests@suite.example",
        "redirect_uris": [callback, callback + SECOND],
        **app,
    }
    for member in ADDRESSES:
        if member in declared:
            found = declared[member]
            of_suite = [where.of_suite(plan, path) for path in ([found] if isinstance(found, str) else found)]
            declared[member] = of_suite[0] if isinstance(found, str) else of_suite
    method = declared["token_endpoint_auth_method"]
    if method.startswith("client_secret"):
        return declared, {"client_secret": "as `aval apps add` has printed it"}, {}
    key, alone = ec.generate_private_key(ec.SECP256R1()), method == "self_signed_tls_client_auth"
    public, private = _jwk(key, client_id)
    certificate = _certificate(key, client_id, by=None if alone else authority)
    if alone:
        der = certificate.public_bytes(serialization.Encoding.DER)
        public = {**public, "x5c": [base64.b64encode(der).decode()]}
    declared["jwks"] = {"keys": [public]}
    bound = declared.get("tls_client_certificate_bound_access_tokens", False)
    shown = {"cert": certificate.public_bytes(PEM).decode(), "key": _pem(key)} if bound else {}
    return declared, {"jwks": {"keys": [private]}}, shown


def _settings(folder: Path, where: Where, suite_ca: Path | None) -> str:
    port, mtls_port = (urlsplit(one).port or 443 for one in (where.gateway, where.mtls))
    said = {
        "mode": "development",
        "public_url": where.gateway,
        "host": "0.0.0.0",
        "port": port,
        "data_dir": str(folder / "data"),
        "tls_certificate_file": str(folder / "tls.pem"),
        "tls_key_file": str(folder / "tls.key"),
        "mtls_port": mtls_port,
        "mtls_public_url": where.mtls,
        "mtls_ca_file": str(folder / "apps-ca.pem"),
        **({"ca_file": str(suite_ca.resolve())} if suite_ca else {}),
        "outbound_networks": ["127.0.0.0/8", "::1/128", "172.16.0.0/12"],
        "asks_per_day": 1000,
        "dynamic_registration": "open",
        "registrations_per_hour": 1000,
    }
    return "\n".join(f"{key} = {_toml(value)}" for key, value in said.items()) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _put(path: Path, text: str) -> None:
    if path.suffix == ".toml":
        tomllib.loads(text)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
