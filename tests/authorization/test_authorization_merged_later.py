"""A merge ends the tokens from before: where she says yes, the app can fetch the new ones, whatever else happens."""

import json

import pytest
from authorization_world import Page, usage

DEFERRED = "urn:ietf:params:oauth:grant-type:deferred"
MORE = json.dumps([usage(fields=["interval.start", "interval.value", "interval.cost"])])


@pytest.fixture
def agent(world):
    world.register("agent", token_endpoint_auth_method="client_secret_basic")
    return world


def asks(world, tokens):
    form = {"completion_mode": "deferred", "authorization_details": MORE}
    told = world.refresh(tokens["refresh_token"], "agent", **form).json()
    assert told["error"] == "authorization_pending"
    return told


def agrees(world, *, comes_back=True):
    browser = world.browser("alice")
    (id,) = [
        one
        for (one,) in world.house.store.connect()
        .execute("SELECT id FROM consent WHERE person_id = 'alice' AND state = 'requested'")
        .fetchall()
    ]
    form = Page(browser.get(browser.get(f"/requests/{id}").headers["location"]).text)
    sent = browser.post(form.action, data={**form.fields, "decision": "allow"})
    assert sent.status_code == 303
    if comes_back:
        assert browser.get(sent.headers["location"]).status_code == 200
    return browser, id


def has_any(world, tokens, told):
    """Whether the app has any way left to read what she agreed to."""
    polled = world.post("/token", {"grant_type": DEFERRED, "deferral_code": told["deferral_code"]}, "agent")
    return polled.status_code == 200 or world.refresh(tokens["refresh_token"], "agent").status_code == 200


def test_who_agrees_in_the_last_second_takes_nothing_away(agent):
    tokens = agent.tokens("agent")
    told = asks(agent, tokens)
    agent.clock.passes(seconds=told["expires_in"] - 2)
    agrees(agent)
    agent.clock.passes(seconds=5)  # the pace of polls
    assert has_any(agent, tokens, told)


def test_whose_browser_is_gone_after_her_yes_takes_nothing_away(agent):
    tokens = agent.tokens("agent")
    told = asks(agent, tokens)
    browser, id = agrees(agent, comes_back=False)
    browser.get(browser.get(f"/requests/{id}").headers["location"])  # nor by coming again from her page
    agent.clock.passes(seconds=30)
    assert has_any(agent, tokens, told)


def test_an_app_that_takes_its_request_back_late_keeps_what_it_had(agent):
    """Her yes has changed the grant by then: what the app has are the new tokens, or none."""
    tokens = agent.tokens("agent")
    told = asks(agent, tokens)
    agrees(agent)
    assert agent.post("/revoke", {"token": told["deferral_code"]}, "agent").status_code == 200
    agent.clock.passes(seconds=30)
    assert has_any(agent, tokens, told)
