"""Clients that know nothing of this gateway, by their own HTTP calls: one of SMART on FHIR, one of MCP.

They find the server from the data, register themselves, and ask by scope alone.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from tests.worlds.demo import READING, Resident, newcomer, started

BACK = "https://client.example/callback"
FHIR = "/data/meadow-health/v2/fhir"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo in which anybody may register."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("AVAL_DYNAMIC_REGISTRATION", "open")
        demo = started(tmp_path_factory.mktemp("plain"))
    yield demo
    demo_setup.stop(demo)


@pytest.fixture(scope="module")
def alice(town: Demo) -> Resident:
    resident = newcomer(town)
    resident.links("city-energy", "meadow-health")
    return resident


class Client:
    """A public client with PKCE. `server`: what it read about the authorization server."""

    def __init__(self, alice: Resident, server: dict[str, Any], **members: Any) -> None:
        self.alice, self.server, self.http = alice, server, alice.story.http
        said = {"redirect_uris": [BACK], "token_endpoint_auth_method": "none", **members}
        answer = self.http.post(server["registration_endpoint"], json=said)
        assert answer.status_code == 201, answer.text
        self.registered = answer.json()
        self.id = self.registered["client_id"]

    def authorizes(self, scope: str, tick: tuple[str, ...] = (), **more: str) -> dict[str, Any]:
        """Its token response, after she agreed. `tick`: what she agrees to beyond what is required."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"response_type": "code", "client_id": self.id, "redirect_uri": BACK, "scope": scope, "state": state,
                 "code_challenge": challenge, "code_challenge_method": "S256", **more}  # fmt: skip
        page = self.alice.visitor.get(f"{self.server['authorization_endpoint']}?{urlencode(asked)}")
        page = self.alice.story._agree(page, 1, tick)
        assert page.url.startswith(BACK), (page.status, page.url, page.text[:600])
        back = parse_qs(urlsplit(page.url).query)
        assert back["state"] == [state], back
        form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": BACK,
                "client_id": self.id, "code_verifier": verifier}  # fmt: skip
        if "resource" in more:
            form["resource"] = more["resource"]
        answer = self.http.post(self.server["token_endpoint"], data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def reads(self, address: str, tokens: dict[str, Any]) -> httpx2.Response:
        return self.http.get(address, headers={"authorization": f"Bearer {tokens['access_token']}"})


def said(answer: httpx2.Response) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("www-authenticate", "")))


def test_a_smart_client_launches_by_itself_and_reads_what_was_agreed(alice: Resident) -> None:
    iss = alice.gateway + FHIR
    answer = alice.story.http.get(f"{iss}/.well-known/smart-configuration")
    assert answer.status_code == 200, answer.text
    server = answer.json()
    assert {"launch-standalone", "client-public", "permission-v2"} <= set(server["capabilities"])
    assert server["code_challenge_methods_supported"] == ["S256"] and "patient/*.rs" in server["scopes_supported"]
    known = "openid offline_access patient/Patient.rs patient/Coverage.rs"
    scope = f"launch/patient fhirUser {known} patient/Observation.rs"
    client = Client(alice, server, scope=scope, client_name="My Records")
    tokens = client.authorizes(scope, aud=iss)
    assert set(tokens["scope"].split()) == set(known.split())
    patient = client.reads(f"{iss}/Patient/{tokens['patient']}", tokens)
    assert patient.status_code == 200 and patient.json()["id"] == tokens["patient"], patient.text
    for name in ("patient", "beneficiary"):  # R4 has both for cover
        assert client.reads(f"{iss}/Coverage?{name}={tokens['patient']}", tokens).json()["entry"]
    assert client.reads(f"{iss}/Coverage?patient=Patient/somebody-else", tokens).status_code == 403
    refused = client.reads(f"{iss}/ExplanationOfBenefit?patient={tokens['patient']}", tokens)
    assert refused.status_code == 403, refused.text
    assert said(refused)["scope"] == "patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs"
    assert client.reads(f"{alice.gateway}/userinfo", tokens).json()["sub"]  # `aud` is of data: it takes nothing away


def test_a_scope_has_the_same_other_name_for_who_registered_it_by_one(alice: Resident) -> None:
    iss = alice.gateway + FHIR
    server = alice.story.http.get(f"{iss}/.well-known/smart-configuration").json()
    client = Client(alice, server, scope="patient/Patient.rs", client_name="Version one")
    tokens = client.authorizes("patient/Patient.read", aud=iss)
    assert tokens["scope"] == "patient/Patient.read"
    assert client.reads(f"{iss}/Patient/{tokens['patient']}", tokens).status_code == 200
    form = {"response_type": "code", "client_id": client.id, "redirect_uri": BACK, "scope": "patient/Coverage.read",
            "code_challenge": "x" * 43, "code_challenge_method": "S256", "aud": iss}  # fmt: skip
    other = alice.story.http.post(f"{alice.gateway}/par", data=form).json()
    assert other["error"] == "invalid_scope" and "did not register" in other["error_description"]
    assert other["error_description"].endswith(": patient/Coverage.read")


@pytest.mark.parametrize("place", ["/data/meadow-health", "/data/meadow-health/fhir", "/data/city-energy/espi/1_1"])
def test_where_there_is_no_fhir_base_there_is_no_configuration(alice: Resident, place: str) -> None:
    answer = alice.story.http.get(f"{alice.gateway}{place}/.well-known/smart-configuration")
    assert answer.status_code == 404


def test_an_aud_elsewhere_is_refused(alice: Resident) -> None:
    """A FHIR server of Mallory's may not send people here for tokens of another."""
    server = alice.story.http.get(f"{alice.gateway}{FHIR}/.well-known/smart-configuration").json()
    client = Client(alice, server)
    form = {"response_type": "code", "client_id": client.id, "redirect_uri": BACK, "scope": "patient/Patient.rs",
            "code_challenge": "x" * 43, "code_challenge_method": "S256",
            "aud": "https://mallory.example/fhir"}  # fmt: skip
    told = alice.story.http.post(f"{alice.gateway}/par", data=form)
    assert (told.status_code, told.json()["error"]) == (400, "invalid_target")


def found_by_mcp(alice: Resident, address: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """(metadata of the resource, of its authorization server, the scope to ask for), from a call without a token."""
    http = alice.story.http
    challenge = http.get(address)
    assert challenge.status_code == 401
    resource = http.get(said(challenge)["resource_metadata"]).json()
    assert address.startswith(resource["resource"])
    (issuer,) = resource["authorization_servers"]
    server = http.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == issuer and "S256" in server["code_challenge_methods_supported"]
    return resource, server, said(challenge)["scope"]


def test_an_mcp_client_finds_registers_asks_and_reads(alice: Resident) -> None:
    address = f"{alice.gateway}/data/city-energy{READING}"
    resource, server, scope = found_by_mcp(alice, address)
    assert scope == "energy:usage" and scope in resource["scopes_supported"]
    assert "ES256" in resource["dpop_signing_alg_values_supported"]
    client = Client(alice, server, client_name="Helper", grant_types=["authorization_code", "refresh_token"])
    assert scope in client.registered["scope"].split(), "it may ask for what the challenge names, though it told none"
    tokens = client.authorizes(scope, resource=resource["resource"])
    assert tokens["scope"] == scope and "patient" not in tokens
    assert client.reads(address, tokens).status_code == 200


def test_and_steps_up_to_the_union_of_scopes_without_what_she_left_out(alice: Resident) -> None:
    base = alice.gateway + FHIR
    resource, server, _ = found_by_mcp(alice, f"{base}/Patient")
    client = Client(alice, server, client_name="Second Helper")
    asked = "patient/*.rs"  # cover and claims are optional in it: she leaves both out
    tokens = client.authorizes(asked, resource=resource["resource"])
    assert client.reads(f"{base}/Patient", tokens).status_code == 200
    refused = client.reads(f"{base}/Coverage", tokens)
    assert (refused.status_code, said(refused)["error"]) == (403, "insufficient_scope")
    union = " ".join(dict.fromkeys([*asked.split(), *said(refused)["scope"].split()]))
    more = client.authorizes(union, resource=resource["resource"])
    assert set(more["scope"].split()) == set(union.split())
    assert [client.reads(f"{base}/{kind}", more).status_code for kind in ("Patient", "Coverage")] == [200, 200]
    assert client.reads(f"{base}/ExplanationOfBenefit", more).status_code == 403
