"""Apps that prove who they are by a TLS certificate, and tokens that are bound to one (RFC 8705; negative case B11).

What the connection has shown is put into the scope here, as the port does it; tests/proxy/test_mutual_tls.py and
tests/journeys/test_journeys_certificates.py have real connections.
"""

import base64

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, answered, declaration
from client_keys import EC
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.apps import declare
from gateway.ground.http.client_certificates import SCOPE, ClientCertificate
from tests.callers import TestClient
from tests.tokens import claims
from tests.worlds.tls import authority, named, self_signed_files


def der_of(files):
    return x509.load_pem_x509_certificate(files[0].read_bytes()).public_bytes(serialization.Encoding.DER)


@pytest.fixture
def shown(tmp_path):
    """Certificates: a CA has signed that of meter.example, and of mallory.example; solo has signed its own."""
    root = authority(tmp_path / "ca")

    def signed(name):
        found, _ = root.signs(named(name), x509.DNSName(f"{name}.example"))
        return ClientCertificate.of(found.public_bytes(serialization.Encoding.DER), "ca")

    solo = ClientCertificate.of(der_of(self_signed_files(tmp_path, "solo")), "registered")
    return {"meter": signed("meter"), "mallory": signed("mallory"), "solo": solo}


@pytest.fixture
def world_of(world, shown):
    world.setting(mtls_public_url="https://mtls.localhost:8443")
    x5c = base64.b64encode(shown["solo"].der).decode()
    key = {**EC("solo").jwk, "x5c": [x5c]}
    bound = {"tls_client_certificate_bound_access_tokens": True}
    world.register(
        "named", token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn="CN=meter", **bound
    )
    world.register("by-host", token_endpoint_auth_method="tls_client_auth", profile="fapi2",
                   tls_client_auth_san_dns="meter.example", **bound)  # fmt: skip
    world.register("solo", token_endpoint_auth_method="self_signed_tls_client_auth", jwks={"keys": [key]}, **bound)
    world.register("bound", **bound)
    return world


def call(world, method, path, certificate, data=None, **headers):
    """A call at the port for certificates; None: it has shown none there."""

    async def port(scope, receive, send):
        await world.app({**scope, SCOPE: certificate}, receive, send)

    client = TestClient(port, base_url=ISSUER, follow_redirects=False)
    return client.request(method, path, data=data, headers=headers)


def push(world, app, certificate):
    return call(world, "POST", "/par", certificate, {"client_id": app, **world.request(app)})


@pytest.mark.parametrize(("app", "name"), [("named", "meter"), ("by-host", "meter"), ("solo", "solo")])
def test_the_right_certificate_proves_who_calls(world_of, shown, app, name):
    assert push(world_of, app, shown[name]).status_code == 201
    others = [one for other, one in shown.items() if other != name]
    for wrong in (*others, None, ClientCertificate.of(shown["meter"].der, "unchecked") if name == "meter" else None):
        answer = push(world_of, app, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_it_counts_only_where_certificates_are_asked_for(world_of):
    assert world_of.post("/par", {"client_id": "named", **world_of.request("named")}, None).status_code == 401
    forged = {"x-ssl-client-cert": "-----BEGIN CERTIFICATE-----", "client-cert": ":AAAA:"}
    answer = world_of.post("/par", {"client_id": "named", **world_of.request("named")}, None, **forged)
    assert answer.status_code == 401


def tokens(world, shown, app="named", name="meter"):
    pushed = push(world, app, shown[name]).json()
    final = world.agree(world.browser("alice"), f"/authorize?client_id={app}&request_uri={pushed['request_uri']}")
    form = {"client_id": app, "grant_type": "authorization_code", "code": answered(final)["code"],
            "redirect_uri": CALLBACK, "code_verifier": VERIFIER}  # fmt: skip
    return form


def test_a_token_is_bound_to_the_certificate_of_the_call(world_of, shown):
    form = tokens(world_of, shown)
    body = call(world_of, "POST", "/token", shown["meter"], form).json()
    assert body["token_type"] == "Bearer"
    assert claims(body["access_token"])["cnf"] == {"x5t#S256": shown["meter"].thumbprint}


def test_a_public_app_whose_tokens_are_bound_needs_one_to_get_and_to_refresh_them(world_of, shown):
    code = world_of.code("bound")
    form = {"client_id": "bound", "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER}  # fmt: skip
    refused = call(world_of, "POST", "/token", None, form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    body = call(world_of, "POST", "/token", shown["solo"], form).json()
    assert claims(body["access_token"])["cnf"] == {"x5t#S256": shown["solo"].thumbprint}
    again = {"client_id": "bound", "grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert call(world_of, "POST", "/token", None, again).json()["error"] == "invalid_request"
    assert call(world_of, "POST", "/token", shown["mallory"], again).json()["error"] == "invalid_grant"
    renewed = call(world_of, "POST", "/token", shown["solo"], again)
    assert renewed.status_code == 200 and "refresh_token" not in renewed.json()


def test_at_userinfo_the_token_opens_nothing_with_another_certificate(world_of, shown):
    bound = {"tls_client_certificate_bound_access_tokens": True}
    world_of.register("site", purposes=["sign-in"], data=[], **bound)
    pushed = world_of.push("site", scope="openid").json()
    final = world_of.agree(world_of.browser("alice"), f"/authorize?client_id=site&request_uri={pushed['request_uri']}")
    form = {"client_id": "site", "grant_type": "authorization_code", "code": answered(final)["code"],
            "redirect_uri": CALLBACK, "code_verifier": VERIFIER}  # fmt: skip
    token = call(world_of, "POST", "/token", shown["solo"], form).json()["access_token"]
    asked = {"authorization": f"Bearer {token}"}
    for wrong in (None, shown["meter"]):
        assert call(world_of, "GET", "/userinfo", wrong, **asked).status_code == 401
    assert world_of.browser().get("/userinfo", headers=asked).status_code == 401
    assert call(world_of, "GET", "/userinfo", shown["solo"], **asked).status_code == 200


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"token_endpoint_auth_method": "tls_client_auth"}, "tls_client_auth_subject_dn"),
        ({"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=x",
          "tls_client_auth_san_dns": "x"}, "tls_client_auth_subject_dn"),
        ({"token_endpoint_auth_method": "none", "tls_client_auth_san_dns": "x"}, "tls_client_auth_san_dns"),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, "jwks"),
    ],
)  # fmt: skip
def test_what_a_registration_must_say(changes, key):
    assert key in [fault.key for fault in declare.check(declaration("x", **changes))]


def test_the_metadata_names_the_port_only_where_there_is_one(world):
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert "mtls_endpoint_aliases" not in said and "tls_client_certificate_bound_access_tokens" not in said
    assert "tls_client_auth" not in said["token_endpoint_auth_methods_supported"]
    world.setting(mtls_public_url="https://mtls.example")
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["mtls_endpoint_aliases"]["token_endpoint"] == "https://mtls.example/token"
    assert said["tls_client_certificate_bound_access_tokens"] is True
    assert "self_signed_tls_client_auth" in said["token_endpoint_auth_methods_supported"]
