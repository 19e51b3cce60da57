"""Revocation, introspection, metadata and keys (negative cases C), and what is told about us."""

import base64
import json

import pytest
from authorization_world import ISSUER

from tests.tokens import claims


def test_introspection_is_for_apps_that_can_prove_who_they_are(world):
    token = world.tokens("meter")["access_token"]
    assert world.post("/introspect", {"token": token}, None).status_code == 401
    assert world.post("/introspect", {"token": token}, "meter").status_code == 401  # public: a name is no proof
    assert world.introspect(token, "budget").json() == {"active": False}  # another app's


def test_introspection_tells_an_app_about_its_own_token(world):
    body = world.tokens("budget")
    seen = world.introspect(body["access_token"]).json()
    assert seen["active"] is True
    said = claims(body["access_token"])
    assert all(seen[name] == said[name] for name in ("iss", "sub", "aud", "client_id", "exp", "iat", "jti", "grant_id"))
    assert seen["authorization_details"] == body["authorization_details"]
    assert seen["token_type"] == "Bearer"


@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "nonsense"}])
def test_what_is_not_active_says_nothing_else(world, hint):
    body = world.tokens("budget")
    head, payload, signature = body["access_token"].split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims(body["access_token"]), "exp": 2**40}).encode()).decode()
    untyped = world.house.keys.sign(claims(body["access_token"]), typ="JWT")
    assertion = world.house.keys.sign(claims(body["access_token"]), typ="aval-assertion+jwt")
    foreign = world.house.keys.sign({**claims(body["access_token"]), "iss": "https://x.example"}, typ="at+jwt")
    orphan = world.house.keys.sign({**claims(body["access_token"]), "fam": "nobody"}, typ="at+jwt")
    for token in (
        "garbage",
        "x" * 43,
        f"{head}.{payload}.",
        f"{head}.{forged.rstrip('=')}.{signature}",
        untyped,
        assertion,
        foreign,
        orphan,
    ):
        assert world.post("/introspect", {"token": token, **hint}, "budget").json() == {"active": False}
    assert world.post("/introspect", {}, "budget").json()["error"] == "invalid_request"
    world.clock.passes(seconds=300)
    assert world.introspect(body["access_token"]).json() == {"active": False}


def test_introspection_tells_an_app_about_its_own_refresh_token(world):
    body = world.tokens("budget")
    seen = world.introspect(body["refresh_token"]).json()
    assert (seen["active"], seen["client_id"], seen["grant_id"]) == (True, "budget", body["grant_id"])
    assert seen["authorization_details"] == body["authorization_details"]
    assert seen["sub"] == claims(body["access_token"])["sub"]
    assert "token_type" not in seen and "jti" not in seen
    assert seen["exp"] > claims(body["access_token"])["exp"]


def test_a_refresh_token_that_gives_nothing_says_nothing(world):
    inactive = {"active": False}
    public = world.tokens("meter")["refresh_token"]
    assert world.introspect(public).json() == inactive  # of another app
    body = world.tokens("budget")
    world.post("/revoke", {"token": body["refresh_token"]}, "budget")
    assert world.introspect(body["refresh_token"]).json() == inactive
    late = world.tokens("budget", person="bob")
    assert world.introspect(late["refresh_token"]).json()["active"] is True
    world.clock.passes(days=31)  # the agreement's end
    assert world.introspect(late["refresh_token"]).json() == inactive


def test_revoking_ends_the_tokens_and_leaves_the_agreement(world):
    body = world.tokens("budget")
    assert world.post("/revoke", {"token": body["access_token"]}, "budget").status_code == 200
    assert world.introspect(body["access_token"]).json() == {"active": False}
    assert world.refresh(body["refresh_token"], "budget").json()["error"] == "invalid_grant"
    with world.session() as session:
        states = session.connection().exec_driver_sql("SELECT state FROM consent").scalars().all()
    assert states == ["active"]
    assert world.events("alice")[-1]["event"] == "app_disconnected"
    again = world.post("/revoke", {"token": body["refresh_token"]}, "budget")
    assert again.status_code == 200  # twice makes no difference
    assert [event["event"] for event in world.events("alice")].count("app_disconnected") == 1


def test_an_expired_access_token_still_names_what_to_revoke(world):
    body = world.tokens("budget")
    world.clock.passes(seconds=400)
    assert world.post("/revoke", {"token": body["access_token"]}, "budget").status_code == 200
    assert world.refresh(body["refresh_token"], "budget").json()["error"] == "invalid_grant"


def test_one_family_ended_leaves_another_of_the_same_agreement(world):
    first = world.tokens()
    alice = world.browser("alice")
    answer = alice.get(world.pushed(prompt="none"))
    second = world.redeem(answer.headers["location"].partition("code=")[2].partition("&")[0]).json()
    world.post("/revoke", {"token": first["refresh_token"]})
    assert world.refresh(second["refresh_token"]).status_code == 200


def test_nobody_revokes_for_another_app(world):
    body = world.tokens("budget")
    for token in (body["refresh_token"], body["access_token"], "unknown"):
        assert world.post("/revoke", {"token": token}, "meter").status_code == 200
    assert world.post("/revoke", {"token": body["refresh_token"]}, None).status_code == 401
    assert world.introspect(body["access_token"]).json()["active"] is True
    assert world.post("/revoke", {}, "budget").json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
def test_the_doors_of_apps_take_posts_only(world, path):
    assert world.browser().get(path).status_code == 405


def test_metadata_says_where_everything_is_and_what_is_not_offered(world):
    answer = world.browser().get("/.well-known/oauth-authorization-server")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    said = answer.json()
    assert said["issuer"] == ISSUER
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["response_types_supported"] == ["code"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["request_uri_parameter_supported"] is False
    assert said["authorization_details_types_supported"] == ["data_access"]
    assert "none" not in said["token_endpoint_auth_signing_alg_values_supported"]
    for name, address in said.items():
        if name.endswith(("_endpoint", "jwks_uri")):
            answer = world.browser().get(address.removeprefix(ISSUER))
            # what stands below that one is a grant each, and there is no list of them
            assert answer.status_code in ((404,) if name == "grant_management_endpoint" else (200, 400, 401, 405)), name


def test_each_organisation_has_metadata_of_its_own(world):
    answer = world.browser().get("/.well-known/oauth-protected-resource/data/city-energy")
    assert answer.json()["resource"] == f"{ISSUER}/data/city-energy"
    assert answer.json()["authorization_servers"] == [ISSUER]
    listed = world.browser().get("/.well-known/oauth-authorization-server").json()["protected_resources"]
    assert answer.json()["resource"] in listed
    unknown = world.browser().get("/.well-known/oauth-protected-resource/data/nobody")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


def test_the_keys_are_public_ones_and_may_be_cached(world):
    answer = world.browser().get("/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert keys
    assert all(not set(key) & {"d", "p", "q", "k"} for key in keys)
    assert len({key["kid"] for key in keys}) == len(keys)


def test_on_a_frozen_log_a_known_token_is_revoked_and_an_unknown_one_is_to_be_sent_again(world):
    token = world.tokens()["refresh_token"]
    world.house.log.frozen = "a tree of 9 was signed; the database only knows one of 3"
    late = world.post("/revoke", {"token": "issued after the copy was made"})
    assert (late.status_code, late.json()["error"]) == (503, "temporarily_unavailable")
    assert int(late.headers["retry-after"]) > 60
    assert world.post("/revoke", {"token": token}).status_code == 200
    world.house.log.frozen = ""
    assert world.post("/revoke", {"token": "issued after the copy was made"}).status_code == 200
    assert world.refresh(token).status_code == 400
