"""The whole flow, as an app and a person go through it."""

from authorization_world import ISSUER, answered, usage

from tests.tokens import claims


def test_a_public_app_gets_a_token_that_says_what_alice_agreed_to(world):
    final = world.agree(world.browser("alice"), world.pushed())
    answer = answered(final)
    assert answer["state"] == "a state"
    assert answer["iss"] == ISSUER
    response = world.redeem(answer["code"])
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 300
    assert body["scope"] == "data_access"
    [detail] = body["authorization_details"]
    assert detail["accounts"] == ["point-1"]
    assert body["grant_id"] == claims(body["access_token"])["grant_id"]
    assert response.headers["cache-control"] == "no-store"


def test_the_token_refreshes_and_dies_when_the_app_gives_it_back(world):
    first = world.tokens()
    second = world.refresh(first["refresh_token"])
    assert second.status_code == 200, second.text
    token = second.json()["refresh_token"]
    assert token != first["refresh_token"]
    assert world.post("/revoke", {"token": token}).status_code == 200
    again = world.refresh(token)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert [event["event"] for event in world.events("alice")][-2:] == ["token_issued", "app_disconnected"]


def test_a_confidential_app_keeps_its_refresh_token(world):
    body = world.tokens("budget")
    for _ in range(3):
        again = world.refresh(body["refresh_token"], "budget")
        assert again.status_code == 200, again.text
        assert "refresh_token" not in again.json()
    assert usage()["type"] == again.json()["authorization_details"][0]["type"]
