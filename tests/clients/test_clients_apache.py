"""Apache in front of somebody's pages: it lets in whom a token, or a sign-in, says."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from apache import BY_ASKING, BY_SIGNATURE, RELYING_PARTY, RESOURCE_SERVER, apache, missing, new_port
from clients_world import Robot, World
from play import Plays, Stumble, Visits
from reference import SECRET, Reference

from gateway.cli.demo_visitor import Visitor

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def call(address: str, token: str = "") -> httpx2.Response:
    return httpx2.get(address, headers={"authorization": f"Bearer {token}"} if token else {})


@pytest.mark.parametrize(("way", "revoked_is"), [(BY_SIGNATURE, 404), (BY_ASKING, 401)], ids=["signature", "asking"])
def test_a_resource_server_lets_in_by_the_token(
    world: World, plays: Plays, tmp_path: Path, way: str, revoked_is: int
) -> None:
    """mod_oauth2, by the keys that Aval publishes, or by asking Aval (RFC 7662). A signature knows of no revocation."""
    app = world.app("basic")
    verify = way.format(issuer=world.gateway, client_id=app.client_id, secret=app.secret)
    with apache(tmp_path / "apache", new_port(), RESOURCE_SERVER.format(verify=verify), world.root.file) as address:
        revoked = plays("openid_client_code.mjs", app, introspects=True)["renewed"]["access_token"]
        live = plays("openid_client_live.mjs", app)["access_token"]
        assert call(address).status_code == 401
        assert call(address, live[:-8] + "AAAAAAAA").status_code == 401
        assert "let in as basic" in call(address, live).text
        assert call(address, revoked).status_code == revoked_is


@pytest.mark.parametrize(("more", "then"), [("", 404), ("&expiry=1", 401)], ids=["as it comes", "with expiry=1"])
def test_what_a_resource_server_has_asked_it_keeps_unless_it_is_told_not_to(
    world: World, plays: Plays, tmp_path: Path, more: str, then: int
) -> None:
    """mod_oauth2 asks once in five minutes about a token: given back, it lets in all the same."""
    app = world.app("basic")
    verify = BY_ASKING.format(issuer=world.gateway, client_id=app.client_id, secret=app.secret) + more
    with apache(tmp_path / "apache", new_port(), RESOURCE_SERVER.format(verify=verify), world.root.file) as address:
        token = plays("openid_client_live.mjs", app)["access_token"]
        assert call(address, token).status_code == 404
        given_back = httpx2.post(f"{world.gateway}/revoke", data={"token": token}, verify=world.trust,
                                 auth=(app.client_id, str(app.secret)))  # fmt: skip
        assert given_back.status_code == 200
        time.sleep(2.5)
        assert call(address, token).status_code == then


def signed_in(address: str, issuer: str, visits: Visits) -> dict[str, Any]:
    """What mod_auth_openidc knows of her after she has opened a page for members. Raises Stumble."""
    browser = Visitor(address)
    try:
        sent = browser.get(f"{address}/members/page")
        if not sent.url.startswith(issuer):
            raise Stumble("Apache", f"{sent.status}: {sent.text[:300]}", [{"opened": sent.url}])
        page = browser.get(visits(sent.url))
        assert page.status == 404 and "let in as" in page.body, page.body
        known: dict[str, Any] = json.loads(browser.get(f"{address}/members/callback?info=json").body)
        return known | {"page": page.body}
    finally:
        browser._client.close()


def check_signed_in(known: dict[str, Any], issuer: str, client_id: str) -> None:
    claims = known["id_token"]
    assert (claims["iss"], claims["aud"]) == (issuer, client_id)
    assert claims["sub"] == known["userinfo"]["sub"] and claims["sub"] in known["page"]


def test_a_relying_party_at_the_reference(reference: Reference, tmp_path: Path) -> None:
    """So the configuration is right."""
    about = {"issuer": reference.issuer, "port": reference.apache_port}
    more = RELYING_PARTY.format(**about, client_id="apache", secret=SECRET, scope="openid")
    with apache(tmp_path / "apache", reference.apache_port, more, reference.root.file) as address:
        check_signed_in(signed_in(address, reference.issuer, reference.visits), reference.issuer, "apache")


def test_a_relying_party(world: World, alice: Robot, tmp_path: Path) -> None:
    """mod_auth_openidc: it does not push its requests, and signs its members in with their account at Aval."""
    port = new_port()
    app = world.app(
        "apache",
        profile="oidc",
        purposes=["sign-in"],
        data=[],
        token_endpoint_auth_method="client_secret_basic",
        redirect_uris=[f"http://localhost:{port}/members/callback"],
        id_token_signed_response_alg="ES256",
    )
    about = {"issuer": world.gateway, "port": port}
    more = RELYING_PARTY.format(
        **about, client_id=app.client_id, secret=app.secret, scope="openid profile email", more=""
    )
    with apache(tmp_path / "apache", port, more, world.root.file) as address:
        known = signed_in(address, world.gateway, alice.visits)
    check_signed_in(known, world.gateway, app.client_id)
    assert known["userinfo"]["email"] == "alice@example.org"
