"""Deferred token responses: an app that may read some asks for more without a redirect, and what it has goes on.

The words are those of draft-ietf-oauth-deferred-token-response-01.
"""

import json
import re
from functools import partial
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from authorization_world import VERIFIER, Page, answered, usage, visible
from client_keys import proof
from waiting_requests import consents, error, opens, puts_off, redeem

from tests.tokens import claims

GRANT = "urn:ietf:params:oauth:grant-type:deferred"
MORE = ["interval.start", "interval.value", "interval.cost"]
opens, redeem = partial(opens, app="agent"), partial(redeem, app="agent")
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


def screen(world, person="alice"):
    browser = world.browser(person)
    led = browser.get(f"/requests/{consents(world, person)[-1]}")
    return browser, browser.get(led.headers["location"])


def answers(world, decision="allow"):
    browser, page = screen(world)
    form = Page(page.text)
    chosen = {"accounts:city-energy": "point-1"} if 'name="accounts:city-energy"' in page.text else {}
    sent = browser.post(form.action, data={**form.fields, **chosen, "decision": decision})
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
    assert consents(agent) == []
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
    assert len(consents(agent)) == 1, "the one from before"
    assert error(poll(agent, told)) == "authorization_pending"


def test_an_app_takes_it_back(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens)
    hint = "urn:ietf:params:oauth:token-type:deferral-code"
    given = {"token": told["deferral_code"], "token_type_hint": hint}
    assert agent.post("/revoke", given, "other-agent").status_code == 200
    assert error(poll(agent, told)) == "authorization_pending"
    assert agent.post("/revoke", given, "agent").status_code == 200
    assert error(poll(agent, told)) == "access_denied" and consents(agent) == []
    assert agent.post("/revoke", given, "agent").status_code == 200
    late = deferred(agent, tokens)
    answers(agent)
    assert agent.post("/revoke", {"token": late["deferral_code"]}, "agent").status_code == 200
    agent.clock.passes(seconds=6)
    assert poll(agent, late).status_code == 200, "her yes has changed the grant: without these it has no tokens at all"


def test_a_request_of_its_own_is_taken_back_also_when_she_has_agreed(agent):
    browser, page, _ = opens(agent)
    told = redeem(agent, answered(puts_off(browser, page))["code"]).json()
    answers(agent)
    assert agent.post("/revoke", {"token": told["deferral_code"]}, "agent").status_code == 200
    agent.clock.passes(seconds=6)
    assert error(poll(agent, told)) == "access_denied"


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


# ---- she decides later about what she had opened


def test_alice_decides_later_and_the_app_waits(agent):
    browser, page, address = opens(agent)
    assert "Decide later, on the page Data sharing" in visible(page.text)
    back = puts_off(browser, page)
    assert "Nothing is decided yet." in visible(back.text)
    code = answered(back)["code"]
    assert answered(browser.get(address))["code"] == code, "the page may be loaded again"
    told = redeem(agent, code)
    assert error(told) == "authorization_pending"
    told = told.json()
    assert (told["expires_in"], told["interval"]) == (86400, 5)
    assert error(redeem(agent, code)) == "invalid_grant", "a code is spent once"
    assert error(poll(agent, told)) == "authorization_pending"
    assert "Your answer is recorded" in visible(answers(agent).text)
    agent.clock.passes(seconds=6)
    body = poll(agent, told).json()
    assert body["authorization_details"] and body["refresh_token"]
    assert error(poll(agent, told)) == "invalid_grant"


def test_she_refuses_later(agent):
    browser, page, _ = opens(agent)
    told = redeem(agent, answered(puts_off(browser, page))["code"]).json()
    answers(agent, "refuse")
    assert error(poll(agent, told)) == "access_denied"


def test_she_may_answer_before_the_app_has_come(agent):
    browser, page, _ = opens(agent)
    code = answered(puts_off(browser, page))["code"]
    answers(agent)
    told = redeem(agent, code).json()
    assert poll(agent, told).status_code == 200


def test_an_app_that_did_not_ask_for_it_is_offered_nothing(agent):
    _, page, _ = opens(agent, completion_mode=None)
    assert "/authorize/later" not in page.text
    _, page, _ = opens(agent, completion_mode="other")
    assert "/authorize/later" not in page.text
    browser, page, address = opens(agent)
    form = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text.split("/authorize/later")[1])
    )
    plain = agent.pushed("agent")
    uri = parse_qs(urlsplit(plain).query)["request_uri"][0]
    assert browser.post("/authorize/later", data={**form, "request_uri": uri}).status_code == 400


def test_who_has_said_it_waits_says_it_again_at_the_token_endpoint(agent):
    browser, page, _ = opens(agent)
    code = answered(puts_off(browser, page))["code"]
    assert error(redeem(agent, code, completion_mode=None)) == "invalid_request"
    assert error(redeem(agent, code)) == "authorization_pending", "and nothing was lost"
    done = answered(agent.agree(agent.browser("bob"), agent.pushed("agent", completion_mode="deferred")))["code"]
    assert redeem(agent, done).status_code == 200, "who decides at once is answered at once"


def test_a_child_leaves_it_to_her_guardian(agent):
    browser, page, _ = opens(agent, "chloe")
    assert "Let my guardian decide later, without me" in visible(page.text)
    told = redeem(agent, answered(puts_off(browser, page))["code"]).json()
    guardian = agent.browser("alice")
    (id,) = consents(agent, "chloe")
    form = Page(guardian.get(guardian.get(f"/requests/{id}").headers["location"]).text)
    accounts = {"accounts:city-energy": "point-1"}
    sent = guardian.post(form.action, data={**form.fields, **accounts, "decision": "allow"})
    assert "Your answer is recorded" in visible(guardian.get(sent.headers["location"]).text)
    agent.clock.passes(seconds=6)
    assert poll(agent, told).status_code == 200


def test_mallory_puts_off_nothing_of_alices_and_answers_nothing(agent):
    browser, page, address = opens(agent)
    mallory, hers, _ = opens(agent, "mallory")
    form = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', hers.text.split("/authorize/later")[1])
    )
    uri = parse_qs(urlsplit(address).query)["request_uri"][0]
    puts_off(browser, page)
    assert mallory.post("/authorize/later", data={**form, "request_uri": uri}).status_code == 403
    assert mallory.get(f"/requests/{consents(agent)[-1]}").status_code == 404


def test_a_public_app_with_a_key_polls_with_that_key(agent):
    agent.register("phone", dpop_bound_access_tokens=True)
    browser, page, _ = opens(agent, app="phone")
    code = answered(puts_off(browser, page))["code"]
    redirect = agent.request("phone")["redirect_uri"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": VERIFIER}
    told = agent.post("/token", {**form, "completion_mode": "deferred"}, "phone", dpop=proof(agent)).json()
    answers(agent)
    assert error(poll(agent, told, "phone", dpop=proof(agent, alg="EdDSA"))) == "invalid_dpop_proof"
    agent.clock.passes(seconds=6)
    assert poll(agent, told, "phone", dpop=proof(agent)).status_code == 200


# ---- a surer or later sign-in


ONE, TWO = "urn:aval:acr:one-factor", "urn:aval:acr:two-factors"
SURER = {"authorization_details": None, "acr_values": TWO}


def goes_on(browser, address):
    """Her one click on the page that asks nothing again."""
    page = browser.get(address)
    form = page.text.partition('action="/authorize/continue"')[2].partition("</form>")[0]
    assert form, visible(page.text)
    fields = {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}
    return browser.get(browser.post("/authorize/continue", data=fields).headers["location"])


def test_a_surer_sign_in_is_asked_for_and_nothing_else(agent):
    tokens = agent.tokens("agent")
    told = deferred(agent, tokens, **SURER)
    browser = agent.browser("alice")
    address = browser.get(f"/requests/{consents(agent)[-1]}").headers["location"]
    assert browser.get(address).headers["location"].startswith("/sign-in?again=1")
    assert error(poll(agent, told)) == "authorization_pending"
    agent.clock.passes(seconds=6)
    agent.sign_in(browser, "alice", ("pwd", "otp"))
    assert "Your answer is recorded" in visible(goes_on(browser, address).text)
    body = poll(agent, told).json()
    assert claims(body["access_token"])["acr"] == TWO
    assert (body["grant_id"], body["authorization_details"]) == (tokens["grant_id"], tokens["authorization_details"])
    weak = agent.refresh(tokens["refresh_token"], "agent").json()
    assert claims(weak["access_token"])["acr"] == ONE, "what it had goes on as it was"
    assert agent.refresh(body["refresh_token"], "agent", acr_values=TWO, max_age="600").status_code == 200


def test_a_later_sign_in_is_asked_for(agent):
    tokens = agent.tokens("agent")
    agent.clock.passes(minutes=20)
    assert agent.refresh(tokens["refresh_token"], "agent", max_age="3600").status_code == 200
    told = deferred(agent, tokens, authorization_details=None, max_age="300")
    browser = agent.browser("alice")
    goes_on(browser, browser.get(f"/requests/{consents(agent)[-1]}").headers["location"])
    body = poll(agent, told).json()
    assert claims(body["access_token"])["auth_time"] == int(agent.clock.now.timestamp())


def test_more_data_and_a_surer_sign_in_are_one_request(agent):
    told = deferred(agent, agent.tokens("agent"), acr_values=TWO)
    browser, answer = screen(agent)
    assert answer.headers["location"].startswith("/sign-in?again=1")
    assert error(poll(agent, told)) == "authorization_pending"


def test_the_old_sign_in_never_passes_for_the_one_asked_for(agent):
    tokens = agent.tokens("agent")
    refreshed = partial(agent.refresh, tokens["refresh_token"], "agent")
    agent.clock.passes(minutes=20)
    assert error(refreshed(acr_values=TWO)) == "unmet_authentication_requirements"
    assert error(refreshed(max_age="300")) == "unmet_authentication_requirements"
    assert error(refreshed(max_age="soon")) == "invalid_request"
    assert refreshed(acr_values=f"{TWO} {ONE}").status_code == 200, "of several the least will do"
    assert refreshed(acr_values="urn:example:unknown").status_code == 200, "a wish that nobody knows"
    assert consents(agent) == []


def test_a_public_app_asks_for_a_surer_sign_in_at_the_authorization_endpoint(world):
    tokens = world.tokens("meter")
    form = {"completion_mode": "deferred", "acr_values": TWO}
    assert error(world.refresh(tokens["refresh_token"], "meter", **form)) == "unauthorized_client"


@pytest.mark.parametrize("asked", [{"acr_values": TWO}, {"max_age": "1"}])
def test_a_spent_refresh_token_ends_all_whatever_it_asks_for(world, asked):
    old = world.tokens("meter")["refresh_token"]
    new = world.refresh(old, "meter").json()["refresh_token"]
    world.clock.passes(seconds=60)
    assert error(world.refresh(old, "meter", **asked)) == "invalid_grant"
    assert error(world.refresh(new, "meter")) == "invalid_grant"


@pytest.mark.parametrize("asked", [{"acr_values": TWO}, {"max_age": "1"}])
def test_nor_does_one_within_its_grace_give_the_old_sign_in(world, asked):
    tokens = world.tokens("meter")
    assert world.refresh(tokens["refresh_token"]).status_code == 200, "it is spent now, and the answer was lost"
    world.clock.passes(seconds=5)
    assert error(world.refresh(tokens["refresh_token"], **asked)) == "unmet_authentication_requirements"
    assert world.refresh(tokens["refresh_token"], acr_values=ONE, max_age="600").status_code == 200, "it lives on"


def test_mallory_cannot_confirm_for_alice(agent):
    told = deferred(agent, agent.tokens("agent"), **SURER)
    assert agent.browser("mallory", ("pwd", "otp")).get(f"/requests/{consents(agent)[-1]}").status_code == 404
    assert error(poll(agent, told)) == "authorization_pending"
