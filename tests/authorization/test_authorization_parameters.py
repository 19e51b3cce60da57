"""Parameters as RFC 6749 §3.1 and §3.2 read them: empty is omitted, unknown is ignored, repeated is refused."""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from authorization_world import VERIFIER, World, answered
from starlette.applications import Starlette

from gateway.app import PROTOCOL
from gateway.authorization import api, parameters
from gateway.authorization.parameters import PARAMETERS
from gateway.authorization.protocol import Protocol
from gateway.authorization.server import CODE
from gateway.ground.web.doors import route
from tests.callers import TestClient

FORM = {"content-type": "application/x-www-form-urlencoded"}
ASKING = sorted(p.name for p in PARAMETERS if "par" in p.endpoints)
EMPTIABLE = [
    name
    for name in ASKING
    if name not in ("client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method")
    and name != "authorization_details"
]


def sent(world: World, path: str, pairs: Any, **headers: str) -> Any:
    return world.browser().post(path, content=urlencode(pairs), headers={**FORM, **headers})


@pytest.mark.parametrize("name", EMPTIABLE)
def test_an_empty_parameter_of_a_request_is_one_that_was_not_sent(world, name):
    form = {"client_id": "meter", **world.request(), name: ""}
    assert sent(world, "/par", form).status_code == 201
    opened = world.browser("alice").get("/authorize", params={**form, "request": ""})
    assert opened.status_code in (200, 303)
    assert "malformed" not in opened.text


@pytest.mark.parametrize("name", ["redirect_uri", "response_type", "code_challenge", "authorization_details"])
def test_an_empty_parameter_that_must_be_there_is_missing(world, name):
    assert world.push(**({name: ""} if name != "authorization_details" else {"details": ""})).status_code == 400


def test_an_empty_state_is_not_told_back(world):
    final = world.agree(world.browser("alice"), world.pushed(state=""))
    assert set(answered(final)) == {"code", "iss"}


@pytest.mark.parametrize(
    "empty",
    ["client_secret", "client_assertion", "client_assertion_type", "client_id", "scope", "authorization_details"],
)
@pytest.mark.parametrize("app", ["meter", "budget"])
def test_an_empty_parameter_beside_a_code_is_one_that_was_not_sent(world, app, empty):
    changes = {} if (app, empty) == ("meter", "client_id") else {empty: ""}
    assert world.redeem(world.code(app), app, **changes).status_code == 200


def test_basic_without_a_secret_proves_nothing_and_says_how_to_ask(world):
    token = base64.b64encode(b"budget:").decode()
    answer = world.post(
        "/token", {"grant_type": "refresh_token", "client_secret": ""}, None, authorization=f"Basic {token}"
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri", "code_verifier"])
def test_what_a_token_request_needs_is_missing_when_it_is_empty(world, name):
    code, callback = world.code(), world.request()["redirect_uri"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": VERIFIER}
    assert world.post("/token", {**form, name: ""}).status_code == 400
    assert world.redeem(code).status_code == 200  # and nothing was spent


@pytest.mark.parametrize("path", ["/revoke", "/introspect"])
def test_an_empty_token_is_a_missing_one_and_an_empty_hint_is_none(world, path):
    token = world.tokens("budget")["access_token"]
    assert world.post(path, {"token": ""}, "budget").json()["error"] == "invalid_request"
    assert world.post(path, {"token": token, "token_type_hint": ""}, "budget").status_code == 200


def test_what_this_server_does_not_know_is_ignored_however_often_it_is_sent(world):
    pairs = [("client_id", "meter"), *world.request().items(), ("utm", "1"), ("utm", "2"), ("code", "not here")]
    assert sent(world, "/par", pairs).status_code == 201
    grant = [("client_id", "meter"), ("grant_type", "authorization_code"), ("code", world.code())]
    grant += [("redirect_uri", world.request()["redirect_uri"]), ("code_verifier", VERIFIER), ("x", "1"), ("x", "2")]
    assert sent(world, "/token", grant).status_code == 200


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [("/par", "par"), ("/token", "token"), ("/revoke", "revoke"), ("/introspect", "introspect")],
)
def test_every_parameter_that_is_known_is_refused_when_it_is_repeated_or_in_the_address(world, path, endpoint):
    for name in [p.name for p in PARAMETERS if endpoint in p.endpoints and not p.many]:
        for values in (("x", "x"), ("", "x")):
            twice = sent(world, path, [("client_id", "meter"), *((name, value) for value in values)])
            assert (name, twice.json()["error"]) == (name, "invalid_request")
    for parameter in PARAMETERS:
        address = f"{path}?{parameter.name}=x"
        assert sent(world, address, {"client_id": "meter"}).json()["error"] == "invalid_request"


# ---- the tables


def test_a_parameter_is_known_at_endpoints_that_there_are_and_stands_once_in_the_table():
    offered = {endpoint.name for endpoint in PROTOCOL.endpoints} | {parameters.DEFERRED}
    assert {name for parameter in PARAMETERS for name in parameter.endpoints} <= offered
    names = [parameter.name for parameter in PARAMETERS]
    assert len(names) == len(set(names))


def test_what_the_root_does_not_list_has_no_door_and_is_not_advertised(world):
    few = Protocol(endpoints=tuple(e for e in PROTOCOL.endpoints if e.name != "introspect"), grants=(CODE,))
    served = TestClient(Starlette(routes=[route(door, world.house, lambda *_: None) for door in api.doors(few, None)]))
    said = served.get("/.well-known/oauth-authorization-server").json()
    assert said["grant_types_supported"] == ["authorization_code"]
    assert not [name for name in said if name.startswith("introspection")]
    assert served.post("/introspect", data={"client_id": "meter", "token": "x"}).status_code == 404
    refresh = {"client_id": "meter", "grant_type": "refresh_token", "refresh_token": "x"}
    assert served.post("/token", data=refresh).json()["error"] == "unsupported_grant_type"
    assert world.post("/token", refresh, None).json()["error"] == "invalid_grant"


def test_every_check_of_the_table_is_asked_and_the_first_fault_in_its_order_is_told(world):
    wrong = {"redirect_uri": "https://evil.example", "state": "x" * 9000, "response_type": "token", "scope": "openid"}
    told = []
    for name in wrong:
        told.append(world.push(**wrong).json()["error_description"])
        wrong = {**wrong, name: world.request().get(name)}
    assert [words.split()[0] for words in told] == ["redirect_uri", "state", "Supported:", "The"]
    assert world.push(**wrong).status_code == 201
