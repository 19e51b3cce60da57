"""Deferred token responses: an app that may read some asks for more without a redirect, and what it has goes on.

The words are those of draft-ietf-oauth-deferred-token-response-01.
"""

import json

import pytest
from authorization_world import Page, usage, visible
from client_keys import proof

GRANT = "urn:ietf:params:oauth:grant-type:deferred"
MORE = ["interval.start", "interval.value", "interval.cost"]
METER = {"token_endpoint_auth_method": "client_secret_basic"}


@pytest.fixture
def agent(world):
    world.register("agent", **METER)
    world.register("other-agent", **METER)
    return world


def wider(**changes):
    return json.dumps([usage(fields=MORE, **changes)])


def ask(world, tokens, app="agent", **changes):
    form = {"completion_mode": "deferred", "authorization_details": wider(), **changes}
    form = {name: value for name, value in form.items() if value is not None}
    return world.refresh(tokens["refresh_token"], app, **form)


def deferred(world, tokens, app="agent", **changes):
    answer = ask(world, tokens, app, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "authorization_pending"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def poll(world, told, app="agent", **headers):
    return world.post("/token", {"grant_type": GRANT, "deferral_code": told["deferral_code"]}, app, **headers)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def waiting(world, person="alice"):
    found = world.house.store.connect().execute(
        "SELECT id FROM consent WHERE person_id = ? AND state = 'requested' ORDER BY created_at", (person,)
    )
    return [id for (id,) in found.fetchall()]


def screen(world, person="alice"):
    browser = world.browser(person)
    led = browser.get(f"/requests/{waiting(world, person)[-1]}")
    return browser, browser.get(led.headers["location"])


def answers(world, decision="allow"):
    browser, page = screen(world)
    form = Page(page.text)
    sent = browser.post(form.action, data={**form.fields, "decision": decision})
    assert sent.status_code == 303, visible(sent.text)
    return browser.get(sent.headers["location"])


def test_alice_is_asked_for_the_difference_alone_and_the_app_goes_on_meanwhile(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    assert told["expires_in"] == 86400 and told["interval"] == 5 and len(told["deferral_code"]) == 43
    assert error(poll(agent, told)) == "authorization_pending"
    assert agent.refresh(tokens["refresh_token"], "agent").status_code == 200, "what it has goes on"
    _, page = screen(agent)
    text = visible(page.text)
    assert "Agent has sent you this request." in text and "asks to read more of your data" in text
    assert "Your answer is recorded" in visible(answers(agent).text)
    agent.clock.passes(seconds=6)
    body = poll(agent, told).json()
    (detail,) = body["authorization_details"]
    assert detail["fields"] == MORE and body["grant_id"] == tokens["grant_id"] and body["refresh_token"]
    assert error(poll(agent, told)) == "invalid_grant"
    assert error(agent.refresh(tokens["refresh_token"], "agent")) == "invalid_grant", "the old tokens end with a merge"
    assert agent.refresh(body["refresh_token"], "agent").status_code == 200


def test_a_refusal_changes_nothing(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    assert "goes on as before" in visible(answers(agent, "refuse").text)
    assert error(poll(agent, told)) == "access_denied"
    again = agent.refresh(tokens["refresh_token"], "agent").json()
    assert again["authorization_details"][0]["fields"] == MORE[:2]
    silent = ask(agent, tokens)
    assert error(silent, 403) == "access_denied" and silent.json()["ask_again_from"].startswith("2027-05-24")


def test_who_does_not_ask_for_it_is_answered_at_once(agent):
    tokens = agent.tokens("agent")
    assert error(ask(agent, tokens, completion_mode=None)) == "invalid_authorization_details"
    assert error(ask(agent, tokens, completion_mode="interim other")) == "invalid_authorization_details"
    assert ask(agent, tokens, authorization_details=None).status_code == 200, "nothing more is asked for"
    assert ask(agent, tokens, completion_mode="unknown deferred").json()["error"] == "authorization_pending"
    assert agent.browser().get("/.well-known/oauth-authorization-server").json()["deferred_token_response_supported"]


def test_what_cannot_be_asked_is_refused_at_once(agent):
    tokens = agent.tokens("agent")
    elsewhere = wider(purpose="household-budget")
    assert error(ask(agent, tokens, authorization_details=elsewhere)) == "invalid_authorization_details"
    assert error(ask(agent, tokens, authorization_details="[")) == "invalid_authorization_details"
    assert error(ask(agent, tokens, client_notification_token="short")) == "invalid_request"
    assert waiting(agent) == []
    public = agent.tokens("meter")
    assert error(ask(agent, public, "meter")) == "unauthorized_client"


def test_the_code_is_its_own_clients_and_of_one_kind(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    answers(agent)
    assert error(poll(agent, told, "other-agent")) == "invalid_grant"
    assert error(poll(agent, {"deferral_code": "A" * 43})) == "invalid_grant"
    assert error(agent.refresh(told["deferral_code"], "agent")) == "invalid_grant"
    assert poll(agent, told).status_code == 200


def test_what_was_stopped_cannot_be_widened(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    assert agent.post("/revoke", {"token": tokens["refresh_token"]}, "agent").status_code == 200
    assert error(ask(agent, tokens)) in ("invalid_grant", "invalid_authorization_details")
    assert len(waiting(agent)) == 1, "the one from before"
    assert error(poll(agent, told)) == "authorization_pending"


def test_an_app_takes_it_back(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    hint = "urn:ietf:params:oauth:token-type:deferral-code"
    given = {"token": told["deferral_code"], "token_type_hint": hint}
    assert agent.post("/revoke", given, "other-agent").status_code == 200
    assert error(poll(agent, told)) == "authorization_pending"
    assert agent.post("/revoke", given, "agent").status_code == 200
    assert error(poll(agent, told)) == "access_denied" and waiting(agent) == []
    assert agent.post("/revoke", given, "agent").status_code == 200
    late = deferred(agent, tokens)
    answers(agent)
    assert agent.post("/revoke", {"token": late["deferral_code"]}, "agent").status_code == 200
    agent.clock.passes(seconds=6)
    assert error(poll(agent, late)) == "access_denied", "also when she had agreed already"


def test_the_time_is_over(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    agent.clock.passes(days=1, seconds=1)
    assert error(poll(agent, told)) == "expired_token"


def test_the_key_of_the_request_is_the_key_of_the_polls(agent):
    agent.register("bound", dpop_bound_access_tokens=True, **METER)
    code = agent.code("bound")
    redirect = agent.request("bound")["redirect_uri"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": "v" * 43}
    tokens = agent.post("/token", form, "bound", dpop=proof(agent)).json()
    asking = {
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
        "completion_mode": "deferred",
        "authorization_details": wider(),
    }
    told = agent.post("/token", asking, "bound", dpop=proof(agent)).json()
    answers(agent)
    mallory = poll(agent, told, "bound", dpop=proof(agent, alg="EdDSA"))
    assert error(mallory) == "invalid_dpop_proof"
    agent.clock.passes(seconds=6)
    assert poll(agent, told, "bound", dpop=proof(agent)).json()["token_type"] == "DPoP"
