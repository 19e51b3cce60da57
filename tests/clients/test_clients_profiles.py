"""Client profiles and what hangs on them, each played by openid-client: DPoP, FAPI 2.0, signed requests and answers,
OpenID Connect. The same scripts pass at another server (test_clients_reference.py)."""

import time
from typing import Any

import pytest
import stories
from app_keys import own_certificate
from clients_world import World
from play import Plays, Stumble

SIGNED = {"token_endpoint_auth_method": "private_key_jwt"}
ES256 = "ES256"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# By name: what the app registers beyond its data. Keys are those of RFC 7591 and its registry; `profile` is Aval's own.
APPS: dict[str, dict[str, Any]] = {
    "dpop": {"token_endpoint_auth_method": "none", "dpop_bound_access_tokens": True},
    "fapi2": {**SIGNED, "profile": "fapi2", "dpop_bound_access_tokens": True},
    "jar": {**SIGNED, "require_signed_request_object": True, "request_object_signing_alg": ES256},
    "jarm": {**SIGNED, "authorization_signed_response_alg": ES256},
    "mtls": {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=mtls",
        "tls_client_certificate_bound_access_tokens": True,
    },
    "mtls-alone": {
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "tls_client_certificate_bound_access_tokens": True,
    },
    "device": {"token_endpoint_auth_method": "none", "grant_types": [DEVICE, "refresh_token"]},
    "machine": {**SIGNED, "grant_types": ["client_credentials"]},
    "oidc": {**SIGNED, "profile": "oidc", "purposes": ["sign-in"], "data": [], "id_token_signed_response_alg": ES256},
}


def test_dpop(world: World, plays: Plays) -> None:
    seen = plays("openid_client_dpop.mjs", world.app("dpop", **APPS["dpop"]))
    stories.check_granted(world, seen["tokens"], token_type="dpop")
    stories.check_dpop(seen)


@pytest.mark.parametrize("name", ["mtls", "mtls-alone"])
def test_mutual_tls(world: World, plays: Plays, name: str) -> None:
    app = world.app(name, **APPS[name])
    time.sleep(3)  # a certificate that an app has just registered is believed within a second or two
    seen = plays("openid_client_mtls.mjs", app, data=world.mtls_data, other=own_certificate("other"))
    stories.check_granted(world, seen["tokens"])
    stories.check_mtls(seen)


def test_an_app_that_registered_dpop_gets_no_token_without_it(world: World, plays: Plays) -> None:
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_code.mjs", world.app("dpop", **APPS["dpop"]), introspects=False)
    last = stumble.value.steps[-1]
    assert (last["status"], stumble.value.error["error"]) == (400, "invalid_dpop_proof"), last


def test_fapi2(world: World, plays: Plays) -> None:
    """The app proves who it is, so its refresh token is bound to that and not to the key of the first proof."""
    seen = plays("openid_client_dpop.mjs", world.app("fapi2", **APPS["fapi2"]))
    stories.check_granted(world, seen["tokens"], token_type="dpop")
    assert seen["bound"] == seen["thumbprint"] and (seen["asBearer"], seen["withOtherKey"]) == (401, 401)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"dpop_bound_access_tokens": False},
        {"require_pushed_authorization_requests": False},
    ],
)
def test_an_app_that_is_not_of_fapi2_is_not_registered_so(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(Stumble) as stumble:
        world.app("not-fapi2", **APPS["fapi2"] | wrong)
    assert next(iter(wrong)) in stumble.value.why and "fapi2" in stumble.value.why


def test_signed_request(world: World, plays: Plays) -> None:
    seen = plays("openid_client_jar.mjs", world.app("jar", **APPS["jar"]))
    stories.check_granted(world, seen["tokens"])
    stories.check_jar(seen)


def test_signed_answer(world: World, plays: Plays) -> None:
    seen = plays("openid_client_jarm.mjs", world.app("jarm", **APPS["jarm"]))
    stories.check_granted(world, seen["tokens"])
    stories.check_jarm(seen)


def test_openid_connect(world: World, plays: Plays) -> None:
    app = world.app("oidc", **APPS["oidc"])
    seen = plays("openid_client_oidc.mjs", app, scope="openid profile email", details=None)
    stories.check_oidc(seen, world.gateway, "oidc")
    assert seen["metadata"]["subject_types_supported"] == ["pairwise"]
    assert (seen["userinfo"]["name"], seen["userinfo"]["email"]) == ("Alice Martin", "alice@example.org")


def test_signing_in_and_data_in_one_request(world: World, plays: Plays) -> None:
    """`openid` beside authorization_details: one request, one screen, one agreement."""
    app = world.app(
        "both", **SIGNED, profile="oidc", purposes=["sign-in", "energy-advice"], id_token_signed_response_alg=ES256
    )
    seen = plays("openid_client_oidc.mjs", app, scope="openid data_access")
    stories.check_oidc(seen, world.gateway, "both")
    stories.check_read(seen["data"])
    given = [detail["datatypes"] for detail in seen["tokens"]["authorization_details"]]
    assert given == [["energy.electricity.usage"], ["identity.sign-in"]]
    assert seen["userinfo"] == {"sub": seen["claims"]["sub"]}


def test_a_website_that_nobody_configured_for_es256(world: World, plays: Plays) -> None:
    """The algorithm is then the one of the server's metadata; the secret goes by HTTP Basic."""
    method = {"token_endpoint_auth_method": "client_secret_basic"}
    app = world.app("website", **method, profile="oidc", purposes=["sign-in"], data=[])
    seen = plays("openid_client_oidc.mjs", app, scope="openid", details=None, algorithm=None)
    stories.check_oidc(seen, world.gateway, "website")


def test_device(world: World, plays: Plays) -> None:
    seen = plays("openid_client_device.mjs", world.app("device", **APPS["device"]))
    stories.check_granted(world, seen["tokens"])
    stories.check_device(seen)


def test_machine(world: World, plays: Plays) -> None:
    seen = plays(
        "openid_client_credentials.mjs", world.app("machine", **APPS["machine"]), scope="grant_management_query"
    )
    stories.check_machine(seen)


def test_a_processor_exchanges_the_token_of_the_app_it_reads_for(world: World, plays: Plays) -> None:
    """RFC 8693, by the library's generic grant."""
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    processor = world.app("processor", **SIGNED, grant_types=["authorization_code", exchange])
    named = {"name": "Processor", "role": "printing", "country": "FR", "client_id": "processor"}
    app = world.app("passing-on", token_endpoint_auth_method="none", require_pushed_authorization_requests=False,
                    recipients=[named])  # fmt: skip
    held = plays("openid_client_unpushed.mjs", app)["tokens"]
    seen = plays("openid_client_exchange.mjs", processor, subject=held["access_token"])
    assert exchange in seen["metadata"]["grant_types_supported"]
    assert seen["tokens"]["authorization_details"] == held["authorization_details"]
    assert "refresh_token" not in seen["tokens"] and 0 < seen["tokens"]["expires_in"] <= 300
    stories.check_read(seen["data"])
    assert seen["twice"]["error"] == "invalid_request"
