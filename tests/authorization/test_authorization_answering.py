"""Requests to people who are not there: answered late, twice, in two tabs, half, by who may not, or not at all."""

import json

import pytest
from authorization_world import VERIFIER, Page, answered, usage, visible
from client_keys import KEYS, proof, thumbprint
from waiting_requests import BANK, CIBA, answers, ask, begun, consents, error, opened, opens, puts_off, redeem

from gateway.authorization import unclaimed
from gateway.consent import asking, deciding, inbox
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent, Silence
from gateway.sharings import silences
from tests.tokens import claims

DEFERRED = "urn:ietf:params:oauth:grant-type:deferred"


@pytest.fixture
def till(world):
    world.register("till", **BANK)
    return world


def poll(world, told, app="till", **headers):
    kind, name = (CIBA, "auth_req_id") if "auth_req_id" in told else (DEFERRED, "deferral_code")
    world.clock.passes(seconds=30)
    return world.post("/token", {"grant_type": kind, name: told[name]}, app, **headers)


def silent_until(world, purpose="sign-in"):
    with world.session() as session:
        return session.get(Silence, ("alice", "till", purpose)).until


def test_never_again_is_not_shortened_by_a_later_refusal(till):
    begun(till)
    begun(till)
    answers(till, "refuse")
    with till.house.store.write() as session:
        ever = silences.LENGTHS["ever"][1]
        inbox.change(session, till.house.log, "alice", "till", "sign-in", ever, herself("alice"), till.clock.now)
    before = silent_until(till)
    answers(till, "refuse")
    assert silent_until(till) >= before
    till.clock.passes(days=200)
    assert error(ask(till), 403) == "access_denied", "she said: never again"


def test_allowed_in_a_tab_that_was_open_after_it_was_put_off_in_another(till):
    browser, page, address = opens(till)
    other = browser.get(address)
    told = redeem(till, answered(puts_off(browser, page))["code"]).json()
    form = Page(other.text)
    form = Page(
        browser.post(form.action, data={**form.fields, "decision": "allow"}).text
    )  # the page has changed: again
    sent = browser.post(form.action, data={**form.fields, "accounts:city-energy": "point-1", "decision": "allow"})
    back = browser.get(sent.headers["location"])
    assert consents(till, state="active"), "she has agreed"
    assert "Nothing is decided yet" not in visible(back.text), "the page lies"
    assert poll(till, told).status_code == 200, "and the app never gets the tokens that she agreed to"


def test_what_no_app_can_ever_fetch_ends_as_unclaimed(till):
    """The same, and days later: the sharing of which no token was or will be made still stands as running."""
    browser, page, address = opens(till)
    other = browser.get(address)
    redeem(till, answered(puts_off(browser, page))["code"])
    form = Page(browser.post(Page(other.text).action, data={**Page(other.text).fields, "decision": "allow"}).text)
    browser.post(form.action, data={**form.fields, "accounts:city-energy": "point-1", "decision": "allow"})
    for _ in range(4):
        till.clock.passes(days=1, minutes=5)
        unclaimed.end_due(till.house, till.clock.now)
    assert not consents(till, state="active")


def test_agreed_in_the_inbox_and_the_browser_gone_before_the_last_page(till):
    told = begun(till)
    browser = till.browser("alice")
    form = Page(browser.get(opened(till, browser)).text)
    (id,) = consents(till)
    assert browser.post(form.action, data={**form.fields, "decision": "allow"}).status_code == 303
    browser.get(browser.get(f"/requests/{id}").headers["location"])  # she comes again by her inbox
    assert poll(till, told).status_code == 200


def test_a_child_whose_guardian_agreed_finds_the_request_from_her_own_page(till):
    told = begun(till, login_hint="chloe@example.org", authorization_details=json.dumps([usage()]))
    id = consents(till, "chloe")[-1]
    answers(till, "allow", "alice", id)
    child = till.browser("chloe")
    child.get(child.get(f"/requests/{id}").headers["location"])
    assert poll(till, told).status_code == 200


def test_who_has_signed_in_too_weakly_comes_again_and_nothing_is_refused(till):
    strong = json.dumps({"id_token": {"acr": {"essential": True, "value": "urn:aval:acr:two-factors"}}})
    told = begun(till, claims=strong)
    browser = till.browser("alice")
    address = opened(till, browser)
    led = browser.get(address)
    assert led.status_code == 303 and "why=surer" in led.headers["location"]
    assert error(poll(till, told)) == "authorization_pending", "nobody has refused"
    till.sign_in(browser, "alice", ("pwd", "otp"))
    till.agree(browser, address)
    identity = claims(poll(till, told).json()["id_token"])
    assert identity["acr"] == "urn:aval:acr:two-factors"


def test_a_code_bound_to_a_key_is_not_spent_by_another(till):
    till.register("bound", dpop_bound_access_tokens=True, **BANK)
    browser, page, _ = opens(till, app="bound", dpop_jkt=thumbprint(KEYS["ES256"]))
    code = answered(puts_off(browser, page))["code"]
    redirect = till.request("bound")["redirect_uri"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": VERIFIER}
    form["completion_mode"] = "deferred"
    mallory = till.post("/token", form, "bound", dpop=proof(till, alg="EdDSA"))
    assert error(mallory) == "invalid_dpop_proof"
    assert error(till.post("/token", form, "bound", dpop=proof(till))) == "authorization_pending"


@pytest.mark.parametrize("wanted", [{"max_age": "300"}, {"prompt": "login"}])
def test_how_she_must_sign_in_holds_for_what_she_put_off(till, wanted):
    browser, page, address = opens(till, scope="openid", **wanted)
    if page.status_code == 303:
        till.clock.passes(seconds=1)
        till.sign_in(browser, "alice")
        page = browser.get(address)
    redeem(till, answered(puts_off(browser, page))["code"])
    till.clock.passes(hours=5)
    led = browser.get(opened(till, browser))
    assert led.status_code == 303 and "again=1" in led.headers["location"], visible(led.text)[:200]


def test_an_app_that_changed_gets_no_dead_requests(till):
    told = [begun(till) for _ in range(3)]
    till.register("till", **{**BANK, "name": {"fr": "Caisse 2", "en": "Till 2"}})
    browser = till.browser("alice")
    for id in consents(till):
        assert browser.get(f"/requests/{id}").headers["location"] == f"/sharings/{id}"
    assert not consents(till), "what nobody can answer any more leaves her inbox"
    assert {error(poll(till, one)) for one in told} == {"access_denied"}
    assert ask(till).status_code == 200


def test_taken_back_while_her_screen_is_open(till):
    told = begun(till)
    browser = till.browser("alice")
    form = Page(browser.get(opened(till, browser)).text)
    assert till.post("/revoke", {"token": told["auth_req_id"]}, "till").status_code == 200
    sent = browser.post(form.action, data={**form.fields, "decision": "allow"})
    done = browser.get(sent.headers["location"])
    assert done.status_code == 400 and "is told that you refused" not in visible(done.text), "she did not"


def test_a_narrower_refresh_may_say_that_it_can_wait(till):
    tokens = till.tokens("till")
    part = {
        k: v for k, v in usage(fields=["interval.value"]).items() if k in ("type", "locations", "datatypes", "fields")
    }
    form = {"authorization_details": json.dumps([part])}
    assert till.refresh(tokens["refresh_token"], "till", **form).status_code == 200
    again = till.refresh(tokens["refresh_token"], "till", completion_mode="deferred", **form)
    assert again.status_code == 200, again.text


def test_an_old_sign_in_is_not_enough_where_she_looked_at_it_early(till):
    told = begun(till)
    browser = till.browser("alice")
    address = opened(till, browser)
    assert browser.get(address).status_code == 200
    till.clock.passes(hours=20)
    led = browser.get(address)
    if led.status_code == 200:
        till.agree(browser, address)
        identity = claims(poll(till, told).json()["id_token"])
        age = till.clock.now.timestamp() - identity["auth_time"]
        assert age < 15 * 60, f"the app is told of a sign-in that is {age} seconds old"
    assert led.status_code == 303 and "again=1" in led.headers["location"]


def test_what_cannot_be_answered_any_more_is_told_to_the_app(till):
    told = begun(till)
    browser = till.browser("alice")
    form = Page(browser.get(opened(till, browser)).text)
    with till.house.store.write() as session:
        (id,) = consents(till)
        asking.lapse(session, till.house.log, session.get_one(Consent, id), till.clock.now)  # as a change of policies
    assert browser.post(form.action, data={**form.fields, "decision": "allow"}).status_code == 410
    assert error(poll(till, told)) != "authorization_pending"


def test_what_the_policies_have_changed_meanwhile_is_granted_by_no_late_click(till):
    told = begun(till, authorization_details=json.dumps([usage()]))
    browser = till.browser("alice")
    form = Page(browser.get(opened(till, browser)).text)
    purposes = till.house.catalogue.purposes
    kept = purposes.pop("energy-advice")
    try:
        chosen = {**form.fields, "accounts:city-energy": "point-1", "decision": "allow"}
        assert browser.post(form.action, data=chosen).status_code == 410
    finally:
        purposes["energy-advice"] = kept
    assert not consents(till, state="active")
    assert error(poll(till, told)) == "access_denied"


def test_prompt_consent_holds_for_what_she_put_off(till):
    till.code("till", scope="openid", authorization_details=None)
    browser, page, _ = opens(till, scope="openid", prompt="consent")
    assert "/authorize/continue" not in page.text
    redeem(till, answered(puts_off(browser, page))["code"])
    later = browser.get(opened(till, browser))
    assert "/authorize/continue" not in later.text


# ---- odd input, and answers twice


ODD = ["\0", "%00", "\ud800", "[]", "{}", "[1]", "[null]", "[[]]", "\u202e", "é", "1e400", "null", "x" * 5000]


@pytest.mark.parametrize("name", ["scope", "login_hint", "binding_message", "requested_expiry", "authorization_details",
    "claims", "acr_values", "resource", "request", "grant_id", "grant_management_action", "client_notification_token",
    "user_code", "id_token_hint", "dpop_jkt", "ui_locales", "nonce", "max_age"])  # fmt: skip
def test_odd_values_of_a_backchannel_request(till, name):
    for value in ODD:
        if value == "\ud800":
            continue
        answer = ask(till, **{name: value})
        assert answer.status_code < 500, (name, value, answer.text)


def test_a_later_no_in_an_open_tab_is_the_answer(till):
    browser, page, address = opens(till)
    other = browser.get(address)
    told = redeem(till, answered(puts_off(browser, page))["code"]).json()
    form = Page(other.text)
    browser.post(form.action, data={**form.fields, "decision": "refuse"})
    assert error(poll(till, told)) == "access_denied"


def test_a_stopped_agreement_gives_no_tokens_to_the_poll(till):
    told = begun(till)
    answers(till)
    (id,) = consents(till, state="active")
    with till.house.store.write() as session:
        deciding.end(
            session, till.house.log, session.get_one(Consent, id), herself("alice"), EndReason.WITHDRAWN, till.clock.now
        )
    assert error(poll(till, told)) == "invalid_grant"


def test_two_requests_for_the_same_thing(till):
    one, two = (begun(till, authorization_details=json.dumps([usage()])) for _ in range(2))
    first, second = consents(till)
    answers(till, id=first)
    answers(till, id=second)
    a, b = poll(till, one), poll(till, two)
    assert a.json()["grant_id"] == b.json()["grant_id"]


def test_odd_periods_of_a_refresh(till):
    tokens = till.tokens("till")
    at = {k: v for k, v in usage().items() if k in ("type", "locations", "datatypes")}
    odd = [
        {"history": h}
        for h in ("P3000Y", "P9999Y", "P99999D", "P9999999999D", "P99999999999999999999999Y", "PT1S", "", 5, None)
    ]
    odd += [
        {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"},
        {"history": "P1M", "future": "x"},
        [],
        "x",
        {},
    ]
    odd += [{"from": "1900-01-01T00:00:00+23:59", "to": "2200-12-31T23:59:59-23:59"}]
    for period in odd:
        answer = till.refresh(
            tokens["refresh_token"], "till", authorization_details=json.dumps([{**at, "period": period}])
        )
        assert answer.status_code < 500, (period, answer.text)
    for more in (
        {"fields": "x"},
        {"fields": [1]},
        {"accounts": "x"},
        {"accounts": [[]]},
        {"fields": []},
        {"accounts": []},
        {"locations": []},
        {"datatypes": {}},
        {"type": []},
        {"purpose": []},
        {"frequency": {}},
        {"zzz": 1},
    ):
        for extra in ({}, {"completion_mode": "deferred"}):
            answer = till.refresh(
                tokens["refresh_token"], "till", authorization_details=json.dumps([{**at, **more}]), **extra
            )
            assert answer.status_code < 500, (more, answer.text)
