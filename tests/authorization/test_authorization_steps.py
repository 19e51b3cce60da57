"""The table steps × endpoints: what it promises holds at every door that it names."""

import pytest
from authorization_world import ISSUER
from client_keys import proof

from gateway.authorization import grants, reading, steps
from gateway.authorization.endpoints import STEPPED
from gateway.authorization.tabled import TABLE

WITH = {
    name: [one for one in STEPPED if getattr(steps, name) in one.steps]
    for name in ("check_form", "authenticate_client", "check_confidential", "bind_key")
}
FORM = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}


def every(name):
    assert WITH[name]
    return pytest.mark.parametrize("path", [one.path for one in WITH[name]])


def test_every_step_says_what_it_does():
    named = {step for found in TABLE.values() for step in found}
    assert [step.__name__ for step in named if not (step.__doc__ or "").strip()] == []


def test_who_calls_is_known_before_anything_else_is_looked_at():
    beginnings = {
        (steps.check_form, reading.read_elsewhere, steps.authenticate_client): "a client, by the keys that it has now",
        (steps.load_access_token,): "a token",
        (grants.load_client_token,): "a token of its own",
    }
    for endpoint in STEPPED:
        assert any(endpoint.steps[: len(first)] == first for first in beginnings), endpoint.name


def test_steps_keep_one_order_in_all_endpoints():
    before = {(a, b) for found in TABLE.values() for i, a in enumerate(found) for b in found[i + 1 :]}
    assert [(a.__name__, b.__name__) for a, b in before if (b, a) in before] == []


@every("check_form")
def test_one_form_and_nothing_in_the_address(world, path):
    client = world.browser()
    assert client.post(path, json=FORM).json()["error"] == "invalid_request"
    assert client.post(f"{path}?client_id=meter", data=FORM).json()["error"] == "invalid_request"
    twice = client.post(path, content="client_id=meter&client_id=meter&token=x",
                        headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert twice.json()["error"] == "invalid_request"
    assert client.get(path).status_code == 405


@every("authenticate_client")
def test_nobody_and_mallory_are_refused(world, path):
    nobody = world.post(path, {**FORM, **world.request()}, None)
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")
    assert nobody.headers["www-authenticate"].startswith("Basic")
    mallory = world.post(path, {**FORM, **world.request(), "client_id": "budget", "client_secret": "guessed"}, None)
    assert (mallory.status_code, mallory.json()["error"]) == (401, "invalid_client")
    world.suspend("meter")
    suspended = world.post(path, {**FORM, **world.request()}, "meter")
    assert (suspended.status_code, suspended.json()["reason"]) == (400, "suspended")


@every("check_confidential")
def test_a_public_client_is_not_enough(world, path):
    assert world.post(path, FORM, "meter").status_code == 401
    assert world.post(path, FORM, "budget").status_code != 401


@every("bind_key")
def test_a_proof_is_for_this_endpoint_alone(world, path):
    grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    ciba = {"grant_types": [*grants, "urn:openid:params:grant-type:ciba"], "backchannel_token_delivery_mode": "poll"}
    world.register("device", token_endpoint_auth_method="client_secret_basic", **ciba)
    for other in ("/par", "/token", "/introspect"):
        form = {
            **FORM,
            **world.request(
                authorization_details=None if path == "/token" else world.request()["authorization_details"]
            ),
        }
        answer = world.post(path, form, "device", dpop=proof(world, other))
        assert (answer.json().get("error") == "invalid_dpop_proof") is (other != path), answer.text
    assert ISSUER.startswith("http://localhost")
